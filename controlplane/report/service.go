package report

import (
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/xds/server"
)

const (
	// maxReportBytes bounds a report: a sidecar with 1,000 counters sends about 150 KiB.
	maxReportBytes = 512 << 10
	// burst reports may come at once, and then one a second: five times as many as there
	// should be.
	burst = 10
)

// Register adds ReportService to g, which must have been made with the options of
// xds/server and serve its xDS.
func (s *Store) Register(g *grpc.Server) {
	reportv1.RegisterReportServiceServer(g, &service{store: s})
}

// service is the ReportService.
type service struct {
	reportv1.UnimplementedReportServiceServer

	store *Store
}

// Report implements reportv1.ReportServiceServer. It sends only in answer to a report, so
// that a stream needs no goroutine beside this one.
func (s *service) Report(g grpc.BidiStreamingServer[reportv1.ReportRequest, reportv1.ReportResponse]) error {
	who, release, err := server.Beside(g.Context())
	switch {
	case errors.Is(err, server.ErrTaken):
		return status.Error(codes.AlreadyExists, err.Error())
	case err != nil:
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	defer release()
	of := &session{who: who}
	defer s.store.end(of)
	rate := pace.NewBucket(1, burst)
	for {
		var message wireReport
		if err := g.RecvMsg(&message); err != nil {
			return nil // the sidecar has ended the stream, or is gone
		}
		select {
		case <-who.Done:
			return status.Error(codes.Unavailable, "the xDS stream has ended")
		default:
		}
		if !rate.TryTake(time.Now()) {
			return status.Error(codes.ResourceExhausted, "reports come faster than one a second")
		}
		req, err := message.decode()
		if err != nil {
			return err
		}
		answer, err := s.store.take(of, req)
		switch {
		case errors.Is(err, errTooMany):
			return status.Error(codes.ResourceExhausted, err.Error())
		case err != nil:
			return status.Error(codes.InvalidArgument, err.Error())
		case answer == nil:
			continue
		}
		if err := g.Send(answer); err != nil {
			return err
		}
	}
}

// wireReport is a report in its wire format. The codec of xds/server hands it over before
// it is decoded, so that a large one costs no more than its bytes.
type wireReport struct {
	data []byte
	size int
}

// TakeWire takes what has come.
func (w *wireReport) TakeWire(data mem.BufferSlice) error {
	if w.size = data.Len(); w.size <= maxReportBytes {
		w.data = data.Materialize()
	}
	return nil
}

func (w *wireReport) decode() (*reportv1.ReportRequest, error) {
	if w.size > maxReportBytes {
		return nil, status.Errorf(codes.ResourceExhausted, "a report has %d bytes: want at most %d", w.size, maxReportBytes)
	}
	req := new(reportv1.ReportRequest)
	if err := proto.Unmarshal(w.data, req); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "the report cannot be read: %v", err)
	}
	return req, nil
}
