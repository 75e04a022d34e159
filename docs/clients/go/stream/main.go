// Command stream publishes events as a pipeline: stream TARGET TOPIC PREFIX COUNT.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/docs/clients/go/internal/sidecar"
)

// window bounds the unanswered events; the sidecar's own is 1024.
const window = 64

// item is an event on its way.
type item struct {
	event   *eventsv1.CloudEvent
	attempt int
}

// pipeline is owned by one goroutine.
type pipeline struct {
	client eventsv1.EventServiceClient
	topic  string
	queue  []*item          // to be sent, in order
	sent   map[uint64]*item // unanswered, by request id
	later  chan *item       // those whose wait is over
	open   int              // neither confirmed nor refused
	last   uint64           // request id
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}

func run(target, topic, prefix, number string) error {
	count, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	conn, err := sidecar.Dial(target)
	if err != nil {
		return err
	}
	defer conn.Close()
	p := &pipeline{
		client: eventsv1.NewEventServiceClient(conn), topic: topic,
		sent: make(map[uint64]*item), later: make(chan *item, window), open: count,
	}
	for n := range count {
		p.queue = append(p.queue, &item{event: sidecar.NewEvent(fmt.Sprintf("%s-%d", prefix, n), map[string]int{"n": n})})
	}
	for attempt := 0; p.open > 0; attempt++ {
		before := p.open
		if err := p.stream(context.Background()); err != nil {
			if p.open < before {
				attempt = 0 // it went on for a while
			}
			wait, ok := sidecar.Again(err, attempt)
			if !ok {
				return err
			}
			<-time.After(wait)
		}
	}
	return nil
}

// stream lives as long as one PublishStream. What it leaves unanswered is of
// unknown outcome and goes back into the queue, with its id.
func (p *pipeline) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.client.PublishStream(ctx)
	if err != nil {
		return err
	}
	defer p.requeue()
	answers := make(chan *eventsv1.PublishStreamResponse)
	ended := make(chan error, 1)
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case answers <- answer:
			case <-ctx.Done():
				return
			}
		}
	}()
	for p.open > 0 {
		if err := p.send(stream); err != nil && !errors.Is(err, io.EOF) {
			return err
		} // io.EOF: the reason comes through ended
		select {
		case answer := <-answers:
			for _, result := range answer.GetResults() {
				if err := p.settle(result); err != nil {
					return err
				}
			}
		case i := <-p.later:
			p.queue = append(p.queue, i)
		case err := <-ended:
			return err
		}
	}
	return stream.CloseSend()
}

// send fills the window.
func (p *pipeline) send(stream eventsv1.EventService_PublishStreamClient) error {
	for len(p.queue) > 0 && len(p.sent) < window {
		i := p.queue[0]
		p.queue = p.queue[1:]
		p.last++
		p.sent[p.last] = i
		err := stream.Send(&eventsv1.PublishStreamRequest{Topic: p.topic, Entries: []*eventsv1.PublishStreamEntry{
			{RequestId: p.last, Event: i.event},
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle takes one result. Results come in any order.
func (p *pipeline) settle(result *eventsv1.PublishStreamResult) error {
	i := p.sent[result.GetRequestId()]
	delete(p.sent, result.GetRequestId())
	s := result.GetResult().GetStatus() // nil means OK
	err := status.ErrorProto(&statuspb.Status{Code: s.GetCode(), Message: s.GetMessage(), Details: s.GetDetails()})
	if err == nil {
		p.open--
		fmt.Println("confirmed", i.event.GetId())
		return nil
	}
	wait, ok := sidecar.Again(err, i.attempt)
	if !ok {
		return fmt.Errorf("publish %s: %w", i.event.GetId(), err)
	}
	reason, outcome := sidecar.Reason(err)
	fmt.Println("again", i.event.GetId(), reason, outcome)
	i.attempt++
	time.AfterFunc(wait, func() { p.later <- i })
	return nil
}

func (p *pipeline) requeue() {
	for id, i := range p.sent {
		delete(p.sent, id)
		fmt.Println("again", i.event.GetId(), "STREAM_ENDED unknown")
		p.queue = append(p.queue, i)
	}
}
