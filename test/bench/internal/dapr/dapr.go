package dapr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// maxCallers bounds the calls that Stream makes side by side.
const maxCallers = 128

// closing is how long a subscription may take to end.
const closing = 5 * time.Second

var errNoAnswer = errors.New("the subscription was not confirmed")

// Options of a Target. All are required.
type Options struct {
	// Address is where the sidecar serves gRPC, host:port.
	Address string
	// PubSub and Topic name the component and the topic.
	PubSub, Topic string
	// Queue is the queue of the subscription. It must outlive its consumer: the component
	// has deletedWhenUnused=false.
	Queue string
}

// Target implements load.Target.
type Target struct {
	opts Options
	conn *grpc.ClientConn
}

var _ load.Target = (*Target)(nil)

// Open connects, and subscribes once, so that the queue exists.
func Open(ctx context.Context, opts Options) (*Target, error) {
	conn, err := grpc.NewClient(opts.Address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{})))
	if err != nil {
		return nil, fmt.Errorf("dial Dapr: %w", err)
	}
	t := &Target{opts: opts, conn: conn}
	stream, err := t.subscribe(ctx)
	if err == nil {
		err = end(stream)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe by Dapr at %s: %w", opts.Address, err), conn.Close())
	}
	return t, nil
}

// Close disconnects. The sidecar goes on.
func (t *Target) Close() error { return t.conn.Close() }

// Unary implements load.Target.
func (t *Target) Unary(ctx context.Context, callers int, feed *load.Feed) error {
	g, ctx := errgroup.WithContext(ctx)
	for range callers {
		g.Go(func() error { return t.oneByOne(ctx, feed.Lane(), feed.Size()) })
	}
	return g.Wait()
}

func (t *Target) oneByOne(ctx context.Context, lane *load.Lane, size int) error {
	body := make([]byte, size)
	var request, response []byte
	for m, ok := lane.Next(body); ok; m, ok = lane.Next(body) {
		request = publishRequest(nil, t.opts.PubSub, t.opts.Topic, load.ContentType, body)
		if err := t.conn.Invoke(ctx, publishMethod, &request, &response); err != nil {
			return fmt.Errorf("publish %s: %w", m.ID, err)
		}
		lane.Confirmed(m.Made)
	}
	return nil
}

// Stream implements load.Target by calls side by side, at most 128.
func (t *Target) Stream(ctx context.Context, streams, window int, feed *load.Feed) error {
	return t.Unary(ctx, min(streams*window, maxCallers), feed)
}

// Batch implements load.Target.
func (t *Target) Batch(ctx context.Context, size int, feed *load.Feed) error {
	lane, body := feed.Lane(), make([]byte, feed.Size())
	var request, response []byte
	for more := true; more; {
		var entries [][]byte
		var made []int64
		for len(entries) < size && more {
			var m load.Message
			if m, more = lane.Next(body); more {
				entries, made = append(entries, bulkEntry(nil, m.ID, load.ContentType, body)), append(made, m.Made)
			}
		}
		if len(entries) == 0 {
			return nil
		}
		request = bulkRequest(nil, t.opts.PubSub, t.opts.Topic, entries)
		if err := t.conn.Invoke(ctx, bulkMethod, &request, &response); err != nil {
			return fmt.Errorf("publish a batch: %w", err)
		}
		if err := bulkFailure(response); err != nil {
			return err
		}
		for _, at := range made {
			lane.Confirmed(at)
		}
	}
	return nil
}

// Receive implements load.Target.
func (t *Target) Receive(ctx context.Context, sink *load.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.subscribe(ctx)
	if err != nil {
		return err
	}
	sink.Open()
	var response []byte
	for {
		if err := stream.RecvMsg(&response); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		e, isEvent, err := subscribed(response)
		if err != nil {
			return err
		}
		if !isEvent {
			continue
		}
		if err := sink.Receive(e.body, false); err != nil { // the API does not say what is redelivered
			return err
		}
		request := processed(nil, e.id)
		if err := stream.SendMsg(&request); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("settle: %w", err)
		}
		select {
		case <-sink.Done():
			return end(stream)
		default:
		}
	}
}

// subscribe opens a stream and waits until it is confirmed.
func (t *Target) subscribe(ctx context.Context) (grpc.ClientStream, error) {
	stream, err := t.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, subscribeMethod)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	request := initial(t.opts.PubSub, t.opts.Topic)
	_ = stream.SendMsg(&request) // RecvMsg returns its error
	var response []byte
	if err := stream.RecvMsg(&response); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	if _, isEvent, err := subscribed(response); err != nil || isEvent {
		return nil, errors.Join(errNoAnswer, err)
	}
	return stream, nil
}

// end closes a subscription, and waits until the sidecar has ended it, so that it has
// handled what was sent before.
func end(stream grpc.ClientStream) error {
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("close the subscription: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended) // however it ended: nothing is expected any more
		var response []byte
		for stream.RecvMsg(&response) == nil {
			continue
		}
	}()
	timer := time.NewTimer(closing)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return fmt.Errorf("the subscription did not end within %v", closing)
	}
}
