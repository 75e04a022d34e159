package deadletter

import (
	"context"
	"errors"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// passTime bounds how long one pass holds letters: RabbitMQ closes the channel of
// what is unsettled for its consumer_timeout, 30 minutes by default.
const passTime = 10 * time.Minute

var (
	errPass = errors.New("pass: give back what is held and begin anew")
	errEnd  = errors.New("end: the limit is reached")
	errGone = &broker.Error{Kind: broker.Closed, Op: "remove a letter", Err: errors.New("the connection was lost; the letter is still there: do it again")}
)

// List shows every letter that q chooses, in the order of the queue, and changes
// nothing. show is called by one goroutine at a time and must not keep the delivery;
// its error ends the listing.
func (s *Service) List(ctx context.Context, q Query, show func(*broker.Delivery) error) (Report, error) {
	return s.work(ctx, q, func(_ context.Context, _ *job, d *broker.Delivery) (bool, error) {
		return false, show(d)
	}, nil)
}

// Purge removes the letters that q chooses for good. With dryRun it only counts
// them. progress, which may be nil, is told after every letter that was read.
func (s *Service) Purge(ctx context.Context, q Query, dryRun bool, progress func(Report)) (Report, error) {
	return s.work(ctx, q, func(_ context.Context, j *job, d *broker.Delivery) (bool, error) {
		j.report.Done++
		if dryRun {
			return false, nil
		}
		if d.Ack() != nil {
			j.report.Done--
			return false, errGone
		}
		return true, nil
	}, progress)
}

// action is done to a letter that was chosen. It reports whether it settled it.
type action func(context.Context, *job, *broker.Delivery) (settled bool, err error)

// work does act to every letter of q, in as many passes as its time needs.
func (s *Service) work(ctx context.Context, q Query, act action, progress func(Report)) (Report, error) {
	j, ctx, end, err := s.begin(ctx, q)
	if err != nil {
		return Report{}, err
	}
	defer end()
	if progress == nil {
		progress = func(Report) {}
	}
	for removed := 0; ; {
		settled, err := j.pass(ctx, j.report.Total-removed, act, progress)
		removed += settled
		switch {
		case errors.Is(err, errPass):
			j.again(removed)
			continue
		case errors.Is(err, errEnd), err == nil:
			j.report.Complete = true
			return j.report, nil
		default:
			return j.report, s.explain(err)
		}
	}
}

// again prepares the report for another pass, which reads once more what stayed.
func (j *job) again(removed int) {
	r := &j.report
	r.Read, r.Matched, r.Foreign, r.Failed = removed, removed, 0, 0
}

// pass reads n letters and gives back what was not settled.
func (j *job) pass(ctx context.Context, n int, act action, progress func(Report)) (settled int, err error) {
	begin := time.Now()
	how := broker.Reading{Most: n, Shared: j.report.Consumers > 0}
	err = j.letters.ReadLetters(ctx, j.subscription, how, func(d *broker.Delivery) (bool, error) {
		done, err := j.visit(ctx, d, act)
		if done {
			settled++
		}
		progress(j.report)
		switch {
		case err != nil:
			return done, err
		case j.query.Limit > 0 && j.report.Matched >= j.query.Limit:
			return done, errEnd
		case settled > 0 && time.Since(begin) >= passTime:
			return done, errPass
		}
		return done, nil
	})
	return settled, err
}

// visit does act to d if it is a letter of the subscription that was chosen.
func (j *job) visit(ctx context.Context, d *broker.Delivery, act action) (settled bool, err error) {
	if err := j.life.Err(); err != nil {
		return false, err
	}
	j.report.Read++
	if !ours(j.subscription, d.DeadLetter) {
		j.report.Foreign++
		return false, nil
	}
	if !j.query.Filter.fits(d) {
		return false, nil
	}
	j.report.Matched++
	return act(ctx, j, d)
}

// ours reports whether l is a letter of the subscription.
func ours(s *mesh.Subscription, l *broker.DeadLetter) bool {
	return l != nil && l.Subscription == s.Name.String()
}
