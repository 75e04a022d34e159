package grpc

import (
	"sync"

	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// shared has what was made of refusals that are answered any number of times.
var shared sync.Map // *refusal.Error → *eventsv1.Status

// statusOf returns err as one of many results carries it, nil for nil.
func statusOf(err error) *eventsv1.Status {
	if err == nil {
		return nil
	}
	e := refusal.Of(err)
	if e == nil || !e.Shared {
		return encode(err)
	}
	if made, ok := shared.Load(e); ok {
		st, _ := made.(*eventsv1.Status)
		return st
	}
	made, _ := shared.LoadOrStore(e, encode(err))
	st, _ := made.(*eventsv1.Status)
	return st
}

func encode(err error) *eventsv1.Status {
	p := status.Convert(rpcerr.From(err)).Proto()
	return &eventsv1.Status{Code: p.GetCode(), Message: p.GetMessage(), Details: p.GetDetails()}
}
