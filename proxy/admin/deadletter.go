package admin

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
)

const (
	// progressPeriod is how often a caller gets the progress of a job.
	progressPeriod = 250 * time.Millisecond
	// minRate is the lowest rate of a redrive: one dead letter in a thousand seconds.
	minRate = 0.001
)

// ListDeadLetters implements adminv1.AdminServiceServer.
func (s *Service) ListDeadLetters(req *adminv1.ListDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.ListDeadLettersResponse]) error {
	q, err := s.query(req)
	if err != nil {
		return err
	}
	report, err := s.opts.DeadLetters.List(stream.Context(), q, func(d *broker.Delivery) error {
		return stream.Send(&adminv1.ListDeadLettersResponse{
			Response: &adminv1.ListDeadLettersResponse_Letter{Letter: letter(d, req.GetMaxPayloadBytes())},
		})
	})
	if err = jobError(err); report.Queue == "" {
		return err // it did not begin
	}
	last := &adminv1.ListDeadLettersResponse{Response: &adminv1.ListDeadLettersResponse_Report{Report: reportProto(report)}}
	if gone := stream.Send(last); gone != nil && err == nil {
		return gone
	}
	return err
}

// RedriveDeadLetters implements adminv1.AdminServiceServer.
func (s *Service) RedriveDeadLetters(req *adminv1.RedriveDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.RedriveDeadLettersResponse]) error {
	q, err := s.query(req)
	if err != nil {
		return err
	}
	how := deadletter.Redrive{DryRun: req.GetDryRun()}
	switch req.GetDestination() {
	case adminv1.RedriveDestination_REDRIVE_DESTINATION_UNSPECIFIED, adminv1.RedriveDestination_REDRIVE_DESTINATION_SUBSCRIPTION:
	case adminv1.RedriveDestination_REDRIVE_DESTINATION_TOPIC:
		how.To = deadletter.Topic
	default:
		return status.Error(codes.InvalidArgument, "destination: must be REDRIVE_DESTINATION_SUBSCRIPTION or REDRIVE_DESTINATION_TOPIC")
	}
	if req.PerSecond != nil {
		if how.PerSecond = req.GetPerSecond(); !(how.PerSecond >= minRate) { // so that NaN is refused, too
			return status.Error(codes.InvalidArgument, "per_second: must be at least 0.001")
		}
	}
	return job(func(r *adminv1.DeadLetterReport) error {
		return stream.Send(&adminv1.RedriveDeadLettersResponse{Report: r})
	}, func(progress func(deadletter.Report)) (deadletter.Report, error) {
		return s.opts.DeadLetters.Redrive(stream.Context(), q, how, progress)
	})
}

// PurgeDeadLetters implements adminv1.AdminServiceServer.
func (s *Service) PurgeDeadLetters(req *adminv1.PurgeDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.PurgeDeadLettersResponse]) error {
	q, err := s.query(req)
	if err != nil {
		return err
	}
	return job(func(r *adminv1.DeadLetterReport) error {
		return stream.Send(&adminv1.PurgeDeadLettersResponse{Report: r})
	}, func(progress func(deadletter.Report)) (deadletter.Report, error) {
		return s.opts.DeadLetters.Purge(stream.Context(), q, req.GetDryRun(), progress)
	})
}

// job runs one job and sends its progress from time to time, and then its result. The
// job ends when the caller's context does.
func job(send func(*adminv1.DeadLetterReport) error, run func(progress func(deadletter.Report)) (deadletter.Report, error)) error {
	var told time.Time
	report, err := run(func(r deadletter.Report) {
		if now := time.Now(); now.Sub(told) >= progressPeriod {
			told = now
			_ = send(reportProto(r)) // fails only when the caller is gone
		}
	})
	if err = jobError(err); report.Queue == "" {
		return err // it did not begin
	}
	if gone := send(reportProto(report)); gone != nil && err == nil {
		return gone
	}
	return err
}

// jobError is a status for what ended a job.
func jobError(err error) error {
	if errors.Is(err, deadletter.ErrBusy) {
		return status.Error(codes.Aborted, err.Error())
	}
	return rpcerr.From(err)
}

// queried is what all requests about dead letters have in common.
type queried interface {
	GetSubscription() string
	GetFilter() *adminv1.DeadLetterFilter
	GetLimit() uint32
}

func (s *Service) query(req queried) (deadletter.Query, error) {
	if s.opts.DeadLetters == nil {
		return deadletter.Query{}, status.Error(codes.Unimplemented, "this sidecar has no dead-letter queues")
	}
	name, err := s.subscription(req)
	if err != nil {
		return deadletter.Query{}, err
	}
	f := req.GetFilter()
	q := deadletter.Query{Subscription: name, Limit: int(req.GetLimit()), Filter: deadletter.Filter{
		IDs: f.GetIds(), Source: f.GetSource(), Types: f.GetTypes(), Reasons: f.GetReasons(),
	}}
	for _, t := range []struct {
		field string
		from  *timestamppb.Timestamp
		to    *time.Time
	}{{"filter.since", f.GetSince(), &q.Filter.Since}, {"filter.until", f.GetUntil(), &q.Filter.Until}} {
		if t.from == nil {
			continue
		}
		if t.from.CheckValid() != nil {
			return q, status.Error(codes.InvalidArgument, t.field+": must be a time")
		}
		*t.to = t.from.AsTime()
	}
	return q, nil
}

// subscription returns the full name of a request's subscription.
func (s *Service) subscription(req interface{ GetSubscription() string }) (mesh.Name, error) {
	name, err := mesh.ParseName(req.GetSubscription(), s.opts.Namespace)
	if err != nil {
		return name, status.Error(codes.InvalidArgument, `subscription: must be "name" or "namespace/name", `+mesh.NameRule)
	}
	return name, nil
}

// ListHeldKeys implements adminv1.AdminServiceServer.
func (s *Service) ListHeldKeys(_ context.Context, req *adminv1.ListHeldKeysRequest) (*adminv1.ListHeldKeysResponse, error) {
	name, err := s.subscription(req)
	if err != nil || s.opts.HeldKeys == nil {
		return &adminv1.ListHeldKeysResponse{}, err
	}
	out := &adminv1.ListHeldKeysResponse{}
	for _, key := range s.opts.HeldKeys.HeldKeys(name) {
		out.Keys = append(out.Keys, text(key))
	}
	return out, nil
}

// ReleaseHeldKeys implements adminv1.AdminServiceServer.
func (s *Service) ReleaseHeldKeys(_ context.Context, req *adminv1.ReleaseHeldKeysRequest) (*adminv1.ReleaseHeldKeysResponse, error) {
	name, err := s.subscription(req)
	switch {
	case err != nil:
		return nil, err
	case req.GetAll() == (len(req.GetKeys()) > 0):
		return nil, status.Error(codes.InvalidArgument, "keys: name some, or set all")
	case s.opts.HeldKeys == nil:
		return &adminv1.ReleaseHeldKeysResponse{}, nil
	}
	n := s.opts.HeldKeys.ReleaseKeys(name, req.GetKeys()...)
	return &adminv1.ReleaseHeldKeysResponse{Released: uint32(n)}, nil //nolint:gosec // held keys are bounded
}
