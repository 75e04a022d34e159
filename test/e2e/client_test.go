package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// callTime bounds every call and stream of a test.
const callTime = 60 * time.Second

type (
	event     = eventsv1.CloudEvent
	attribute = eventsv1.CloudEvent_CloudEventAttributeValue
)

func text(s string) *attribute {
	return &attribute{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
}

// order is an event of type com.shop.order.placed.
func order(id string) *event {
	return &event{
		Id: id, Source: "/checkout", SpecVersion: "1.0", Type: "com.shop.order.placed",
		Attributes: map[string]*attribute{"datacontenttype": text("application/json")},
		Data:       &eventsv1.CloudEvent_BinaryData{BinaryData: []byte(`{"id":"` + id + `"}`)},
	}
}

// publish publishes one event.
func (s *service) publish(topic string, e *event) (*eventsv1.PublishResponse, error) {
	ctx, cancel := context.WithTimeout(s.rig.Context(), callTime)
	defer cancel()
	return s.Publish(ctx, &eventsv1.PublishRequest{Topic: topic, Event: e})
}

// mustPublish publishes orders with these ids.
func (s *service) mustPublish(topic string, ids ...string) {
	s.rig.Helper()
	for _, id := range ids {
		if _, err := s.publish(topic, order(id)); err != nil {
			s.rig.Fatalf("publish %s to %s: %v", id, topic, err)
		}
	}
}

// stream is the service's end of a Subscribe stream.
type stream struct {
	eventsv1.EventService_SubscribeClient
	t     *testing.T
	close func()               // ends the stream
	rest  []*eventsv1.Delivery // deliveries of the last message that were not taken yet
}

// open opens a stream. It returns the error with which init was answered.
func (s *service) open(init *eventsv1.SubscribeInit) (*stream, error) {
	ctx, cancel := context.WithTimeout(s.rig.Context(), callTime)
	s.rig.Cleanup(cancel)
	client, err := s.Subscribe(ctx)
	if err != nil {
		return nil, err
	}
	// Recv returns the error of Send.
	_ = client.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: init}})
	first, err := client.Recv()
	if err == nil && first.GetReady() == nil {
		err = errors.New("the first answer is not ready")
	}
	return &stream{EventService_SubscribeClient: client, t: s.rig.T, close: cancel}, err
}

// subscribe opens a stream with unlimited credit.
func (s *service) subscribe(subscription string) *stream {
	s.rig.Helper()
	out, err := s.open(&eventsv1.SubscribeInit{Subscription: subscription, InitialCredit: 1 << 20})
	if err != nil {
		s.rig.Fatalf("subscribe %s: %v", subscription, err)
	}
	return out
}

// next returns the next delivery.
func (s *stream) next() *eventsv1.Delivery {
	s.t.Helper()
	for len(s.rest) == 0 {
		res, err := s.Recv()
		if err != nil {
			s.t.Fatalf("receive: %v", err)
		}
		s.rest = res.GetDeliveries().GetDeliveries()
	}
	d := s.rest[0]
	s.rest = s.rest[1:]
	return d
}

func (s *stream) settle(d *eventsv1.Delivery, outcome eventsv1.Outcome, reason string) {
	s.t.Helper()
	err := s.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{
		Settlements: []*eventsv1.Settlement{{Token: d.GetToken(), Outcome: outcome, Reason: reason}},
	}}})
	if err != nil {
		s.t.Fatalf("settle: %v", err)
	}
}

func (s *stream) ack(d *eventsv1.Delivery) {
	s.t.Helper()
	s.settle(d, eventsv1.Outcome_OUTCOME_ACK, "")
}

// refusal is the part of an error that a service sees.
type refusal struct {
	code    codes.Code
	reason  string
	outcome string
}

// refusalOf reads an error as any gRPC client can. It fails the test unless the error
// has exactly one ErrorInfo of Warren.
func refusalOf(t *testing.T, err error) refusal {
	t.Helper()
	infos := infosOf(err)
	if len(infos) != 1 || infos[0].GetDomain() != "warrenmesh.io" {
		t.Fatalf("error %v has ErrorInfos %v, want one of warrenmesh.io", err, infos)
	}
	return refusal{status.Code(err), infos[0].GetReason(), infos[0].GetMetadata()["outcome"]}
}

func infosOf(err error) []*errdetails.ErrorInfo {
	var infos []*errdetails.ErrorInfo
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			infos = append(infos, info)
		}
	}
	return infos
}

// id is the id of event i of a series.
func id(series string, i int) string { return fmt.Sprintf("%s-%05d", series, i) }

// ids is the set of the ids of those of the first n events that pick selects.
func ids(series string, n int, pick func(int) bool) map[string]bool {
	out := make(map[string]bool, n)
	for i := range n {
		if pick(i) {
			out[id(series, i)] = true
		}
	}
	return out
}
