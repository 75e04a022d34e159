package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
)

const (
	// reportEvery is how often a sidecar reports.
	reportEvery = 5 * time.Second
	// turns of an interval, in which reports are sent a part at a time.
	turns = 200
)

// reports measures what a control plane takes for the reports of n sidecars, of which
// every counter changes from one report to the next.
func (b *bench) reports(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp("", "bench-reports-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	files := mesh{dir: dir, topics: n / users}
	if err := files.write(); err != nil {
		return err
	}
	s, err := startServer(ctx, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	b.say("%d sidecars: connect", n)
	fleet := newFleet(n, files)
	defer fleet.close()
	if err := fleet.connect(ctx, s.address); err != nil {
		return err
	}
	silent, err := s.ask("memory")
	if err != nil {
		return err
	}
	b.say("%d sidecars: first reports", n)
	if err := fleet.report(ctx, reportEvery); err != nil { // complete ones
		return err
	}
	if b.profile != "" {
		if _, err := s.ask("profile " + b.profile); err != nil {
			return err
		}
	}
	before, err := s.ask("cpu")
	if err != nil {
		return err
	}
	b.say("%d sidecars: reports for %s", n, b.reporting)
	began := time.Now()
	if err := fleet.report(ctx, b.reporting); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := s.ask("cpu")
	if err != nil {
		return err
	}
	loaded, err := s.ask("memory")
	if err != nil {
		return err
	}
	known, err := s.ask("reporting")
	if err != nil {
		return err
	}
	if known.Reporting != n {
		return fmt.Errorf("the control plane knows of %d sidecars that report, want %d", known.Reporting, n)
	}
	fmt.Fprintf(b.out, "reports: %d sidecars cores %.3f reports_per_second %.0f mem_per_sidecar %.1f heap_mb %.1f\n",
		n, (after.CPU-before.CPU).Seconds()/took.Seconds(), float64(fleet.reported.Load())/took.Seconds(),
		float64(loaded.memory()-silent.memory())/float64(n)/1024, float64(loaded.Heap)/(1<<20))
	return nil
}

// report has each stream send a report every interval for so long, evenly spread.
func (f *fleet) report(ctx context.Context, last time.Duration) error {
	f.reported.Store(0)
	tick := time.NewTicker(reportEvery / turns)
	defer tick.Stop()
	for turn := range int(last/reportEvery) * turns {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-f.failed:
			return err
		case <-tick.C:
		}
		for i := turn % turns; i < len(f.streams); i += turns {
			if err := f.streams[i].report(); err != nil {
				return fmt.Errorf("stream %d: %w", i, err)
			}
			f.reported.Add(1)
		}
	}
	return nil
}

// reportStreamID is that of the stream of reports, beside that of xDS.
const reportStreamID = 3

// report sends the next report; the first one opens the stream and is complete.
func (s *stream) report() error {
	s.sequence++
	n := s.sequence
	req := &reportv1.ReportRequest{Instance: uint64(s.id) + 1, Sequence: n, Complete: n == 1, RunningFor: durationpb.New(time.Duration(n) * reportEvery)} //nolint:gosec // small
	for _, topic := range s.topics {
		req.Published = append(req.Published, &reportv1.Published{Topic: topic[len("topic/"):], Confirmed: 100 * n, Failed: n})
	}
	for _, publisher := range []string{"checkout", "mobile", "web"} {
		req.Delivered = append(req.Delivered, &reportv1.Delivered{
			Subscription: "shop/each", Topic: "shop/" + sharedTopic, Publisher: publisher, Delivered: 300 * n, Failed: 3 * n, Retried: 2 * n, DeadLettered: n,
		})
	}
	if n == 1 {
		req.State = &reportv1.State{ConfigVersion: "bench", Nodes: []*reportv1.BrokerNode{
			{Broker: "shop/main", Address: "127.0.0.1:5672", Server: "RabbitMQ 4.0.5", Publishing: true, Consuming: true},
		}}
	}
	message, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 5, 512), req)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(message[1:], uint32(len(message)-5)) //nolint:gosec // a report is small
	s.writing.Lock()
	defer s.writing.Unlock()
	if n == 1 {
		if err := s.openReports(); err != nil {
			return err
		}
	}
	return s.framer.WriteData(reportStreamID, false, message)
}

func (s *stream) openReports() error {
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", reportv1.ReportService_Report_FullMethodName},
		{":authority", "bench"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	return s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: reportStreamID, BlockFragment: headers.Bytes(), EndHeaders: true})
}
