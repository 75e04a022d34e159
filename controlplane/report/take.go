package report

import (
	"errors"
	"math"
	"strings"
	"unicode"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
)

// The reasons why a report ends its stream.
var (
	errNoInstance = errors.New("the report has no instance or no sequence")
	errInstance   = errors.New("the stream reports for another process than before")
	errTooMany    = errors.New("as many sidecars report as this control plane keeps")
)

// flowKey is what a counter of one sidecar is about: a topic, or a subscription, its topic
// and a publisher.
type flowKey struct{ subscription, topic, publisher string }

// flow is the counters of one flowKey in one process.
type flow struct {
	last [4]uint64
	into [2]*series // of the object, and of the edge
	seen uint64     // the sequence of the last complete report that had it
}

// take takes a report in and returns what is to be asked of the sidecar, nil for nothing.
func (s *Store) take(of *session, req *reportv1.ReportRequest) (*reportv1.ReportResponse, error) {
	if req.GetInstance() == 0 || req.GetSequence() == 0 {
		return nil, errNoInstance
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	r := of.reporter
	switch {
	case r == nil:
		if r = s.reporterOf(&of.who, req, now); r == nil {
			return nil, errTooMany
		}
		s.attach(of, r)
	case r.identity.instance != req.GetInstance():
		return nil, errInstance
	case r.stream != of.who.Stream:
		return nil, errors.New("a newer stream reports for the process")
	}
	r.last = now
	s.back(r)
	if req.GetSequence() <= r.sequence {
		s.losses.duplicates++
		return s.ask(r), nil
	}
	if missed := req.GetSequence() - r.sequence - 1; missed > 0 && (r.sequence > 0 || !req.GetComplete()) {
		if r.sequence > 0 {
			s.losses.missed += missed
		}
		r.resend = true
	}
	r.sequence = req.GetSequence()
	s.count(r, req, stepOf(now))
	if req.GetComplete() {
		r.known, r.resend = true, false
	}
	if req.GetState() != nil {
		s.retract(r)
		s.hold(r, req.GetState())
		s.settle()
	}
	s.measured(r, req.GetMeasured(), now)
	return s.ask(r), nil
}

// back takes what a late or returned sidecar said before into account again. mu is held.
func (s *Store) back(r *reporter) {
	r.late = false
	if r.state != nil && !r.held {
		s.hold(r, r.state)
		s.settle()
	}
}

// ask returns what the sidecar has to be asked, nil when that is nothing. mu is held.
func (s *Store) ask(r *reporter) *reportv1.ReportResponse {
	if !r.resend && !r.untold {
		return nil
	}
	out := &reportv1.ReportResponse{Resend: r.resend}
	if r.untold {
		r.untold = false
		out.Assignment = s.assignment(r)
	}
	return out
}

// count adds what is new of all counters. mu is held.
func (s *Store) count(r *reporter, req *reportv1.ReportRequest, step int64) {
	for _, p := range req.GetPublished() {
		s.flow(r, req, flowKey{topic: p.GetTopic()}, [4]uint64{events: p.GetConfirmed(), failed: p.GetFailed(), retried: p.GetRetried()}, step)
	}
	for _, d := range req.GetDelivered() {
		k := flowKey{d.GetSubscription(), d.GetTopic(), d.GetPublisher()}
		s.flow(r, req, k, [4]uint64{
			events: d.GetDelivered(), failed: d.GetFailed(), retried: d.GetRetried(),
			deadLettered: d.GetDeadLettered() + d.GetTakenByPolicy(),
		}, step)
	}
	if !req.GetComplete() {
		return
	}
	for k, f := range r.flows {
		if f.seen != req.GetSequence() {
			delete(r.flows, k)
		}
	}
}

// flow adds what is new of one flow. mu is held.
func (s *Store) flow(r *reporter, req *reportv1.ReportRequest, k flowKey, now [4]uint64, step int64) {
	f := r.flows[k]
	if f == nil {
		if len(r.flows) >= s.limits.Entries || !s.declared.flow(k) {
			s.losses.entries++
			return
		}
		f = &flow{}
		if !r.known && !r.zero {
			f.last = now // what was before the control plane is none of its hour
		}
		r.flows[k] = f
	}
	f.seen = req.GetSequence()
	var more counts
	for i := range now {
		if now[i] > f.last[i] {
			more[i] = uint32(min(now[i]-f.last[i], math.MaxUint32)) //nolint:gosec // bounded
			f.last[i] = now[i]
		}
	}
	for i := range f.into {
		if f.into[i] == nil || f.into[i].gone {
			f.into[i] = s.shelf.take(seriesKey(r, k, i == 1), step)
		}
		if more != (counts{}) {
			s.shelf.add(f.into[i], step, more)
		}
	}
}

// seriesKey is the series of a flow's object, or of its edge.
func seriesKey(r *reporter, k flowKey, edge bool) key {
	switch {
	case !edge && k.subscription == "":
		return key{topic: k.topic}
	case !edge:
		return key{subscription: k.subscription}
	case k.subscription == "":
		return key{edge: true, publisher: r.publisher, topic: k.topic}
	default:
		return key{edge: true, publisher: k.publisher, topic: k.topic, subscription: k.subscription}
	}
}

// maxPublisher bounds the name of a publisher: it is free text.
const maxPublisher = 128

// flow reports whether a flow is of something that is declared, by a publisher whose name
// can be shown.
func (d *declared) flow(k flowKey) bool {
	if _, ok := d.topics[k.topic]; !ok {
		return false
	}
	if k.subscription == "" {
		return true
	}
	_, ok := d.subscriptions[k.subscription]
	return ok && len(k.publisher) <= maxPublisher && !strings.ContainsFunc(k.publisher, func(c rune) bool { return !unicode.IsGraphic(c) })
}
