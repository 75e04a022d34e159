// Package grpc is the door by which services speak gRPC with their sidecar: EventService,
// and EventHandlerService of those that events are pushed to. It decodes, bounds what is
// not decoded yet, and says in gRPC's words what the rooms behind it answer:
//
//	EventService ──▶ Submission, Batch, Stream ──▶ publish
//	             ◀── Handed, Settled           ◀── deliver
//	             ◀── status and details        ◀── refusal
//
// Behind it nobody knows protobuf or gRPC. A door for another protocol stands beside it.
package grpc

import (
	"math"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/stats"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/listen"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// Door implements EventService. It is safe for concurrent use.
type Door struct {
	eventsv1.UnimplementedEventServiceServer
	publish *publish.Service
	deliver *deliver.Service
	streams *limit.Budget
	metrics *metrics.Events
}

// New builds a door to both rooms; at most streams of its streams are open at once, zero
// meaning any number. A room that is nil is not served, and nil events count nothing.
func New(p *publish.Service, d *deliver.Service, streams int64, events *metrics.Events) *Door {
	return &Door{publish: p, deliver: d, streams: limit.NewBudget(streams, 0), metrics: events}
}

// enter takes a place among the streams, to be given back with streams.Give(0).
func (d *Door) enter() error {
	if d.streams.TryTake(0) {
		return nil
	}
	return tooManyStreams()
}

func tooManyStreams() error {
	return rpcerr.From(refusal.Full(refusal.TooManyStreams, "the sidecar serves as many streams as it may"))
}

// IsWatch reports whether a method is none of the event API, which counts its own streams.
func IsWatch(method string) bool {
	return !strings.HasPrefix(method, "/"+eventsv1.EventService_ServiceDesc.ServiceName+"/")
}

const (
	// callsPerConnection bounds the calls at once on one connection.
	callsPerConnection = 1024
	// maxWatches bounds the streams that are not events: health watches and reflection.
	maxWatches = 64
)

// Codec is the option that a server of a Door needs: deliveries and acknowledgements are
// written and read without protobuf's messages. ServerOptions has it.
func Codec() grpc.ServerOption {
	return grpc.ForceServerCodecV2(frugal{encoding.GetCodecV2(proto.Name)})
}

// ServerOptions are those of the server that serves a Door: maxMessage bounds a request in
// bytes, telemetry sees every call, and between has its say in streams.
//
// The receive limit does not follow the largest event in force: gRPC's is fixed when the
// server is made, and a batch may be larger than any of its events. What a message may
// cost before it is whole is bounded over all connections instead (listen.Partial), and
// each event's size by its topic.
func ServerOptions(maxMessage int, telemetry stats.Handler, between grpc.StreamServerInterceptor) []grpc.ServerOption {
	return append(listen.ServerOptions(callsPerConnection),
		grpc.StatsHandler(telemetry),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(math.MaxInt32),
		Codec(),
		grpc.ChainStreamInterceptor(listen.LimitStreams(maxWatches, IsWatch, tooManyStreams), between),
	)
}
