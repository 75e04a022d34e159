package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
)

// States of a sidecar's reports.
const (
	Reporting    = "REPORTING"
	IsLate       = "LATE"
	NotReporting = "NOT_REPORTING"
)

// Sidecar tells what is known of the reports of one xDS stream, by its number.
func (s *Store) Sidecar(stream int64, into *adminv1.Sidecar) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.streams[stream]
	if r == nil {
		into.Reports = NotReporting
		return
	}
	into.Reports = Reporting
	if r.late {
		into.Reports = IsLate
	}
	into.LastReport = durationpb.New(s.ago(r.last))
	into.ConfigVersion = r.version
}

func (s *Store) ago(t time.Time) time.Duration { return max(0, s.now().Sub(t)) }

// Traffic returns the current values of a namespace, "" being all.
func (s *Store) Traffic(namespace string) *adminv1.Traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	in := func(name string) bool { return namespace == "" || strings.HasPrefix(name, namespace+"/") }
	out := &adminv1.Traffic{Losses: &adminv1.ReportLosses{
		Duplicates: s.losses.duplicates, Missed: s.losses.missed, Entries: s.losses.entries, Series: s.shelf.dropped,
	}}
	subscriptions := map[string]*adminv1.SubscriptionTraffic{}
	for name, d := range s.declared.subscriptions {
		if in(name) {
			subscriptions[name] = &adminv1.SubscriptionTraffic{Subscription: name, Depth: s.depthProto(d)}
		}
	}
	for k, series := range s.shelf.all {
		if k.depth || !in(cmp.Or(k.subscription, k.topic)) {
			continue
		}
		rates := series.rates(now)
		switch {
		case k.edge:
			out.Edges = append(out.Edges, &adminv1.Edge{
				Publisher: k.publisher, Topic: k.topic, Subscription: k.subscription,
				Rate: rates[events], Failed: rates[failed], Retried: rates[retried], DeadLettered: rates[deadLettered],
			})
		case k.subscription != "":
			t := subscriptions[k.subscription]
			if t == nil { // it is declared no more
				t = &adminv1.SubscriptionTraffic{Subscription: k.subscription}
				subscriptions[k.subscription] = t
			}
			t.Rate, t.Failed, t.Retried, t.DeadLettered = rates[events], rates[failed], rates[retried], rates[deadLettered]
		default:
			out.Topics = append(out.Topics, &adminv1.TopicTraffic{Topic: k.topic, Rate: rates[events], Failed: rates[failed], Retried: rates[retried]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(subscriptions)) {
		out.Subscriptions = append(out.Subscriptions, subscriptions[name])
	}
	slices.SortFunc(out.Topics, func(a, b *adminv1.TopicTraffic) int { return cmp.Compare(a.GetTopic(), b.GetTopic()) })
	slices.SortFunc(out.Edges, func(a, b *adminv1.Edge) int {
		return cmp.Or(cmp.Compare(a.GetTopic(), b.GetTopic()), cmp.Compare(a.GetSubscription(), b.GetSubscription()), cmp.Compare(a.GetPublisher(), b.GetPublisher()))
	})
	s.brokersProto(in, out)
	return out
}

// brokersProto adds the brokers, and what concerns all of them. mu is held.
func (s *Store) brokersProto(in func(string) bool, out *adminv1.Traffic) {
	for _, name := range slices.Sorted(maps.Keys(s.brokers)) {
		b := s.brokers[name]
		if !in(name) {
			continue
		}
		for _, address := range slices.Sorted(maps.Keys(b.nodes)) {
			out.Nodes = append(out.Nodes, nodeProto(name, address, b.nodes[address]))
		}
		if b.measurer != nil {
			out.Measurers = append(out.Measurers, &adminv1.Measurer{
				Broker: name, Sidecar: b.measurer.identity.node,
				Queues: uint32(len(b.queues)), LeftOut: uint32(b.leftOut), //nolint:gosec // bounded
			})
		}
	}
	out.QueuesWithoutBackstop = slices.Sorted(maps.Keys(s.unbacked))
}

func nodeProto(broker, address string, n *nodeView) *adminv1.BrokerNodeStatus {
	out := &adminv1.BrokerNodeStatus{Broker: broker, Address: address, Server: n.server, Up: uint32(n.up)} //nolint:gosec // a count
	for _, t := range n.troubled {
		if t.blocked {
			out.Blocked++
		} else {
			out.Down++
		}
	}
	if len(n.troubled) > 0 {
		out.Reason = n.worst().reason
	}
	return out
}

// depthProto is nil until every queue was asked for. mu is held.
func (s *Store) depthProto(d *depth) *adminv1.Depth {
	f := d.sum()
	if !f.asked {
		return nil
	}
	out := &adminv1.Depth{Error: f.err}
	for is, figure := range []struct {
		into **uint64
		n    uint64
	}{holds: {&out.Backlog, f.backlog}, waits: {&out.Retrying, f.retrying}, dead: {&out.DeadLetters, f.dead}} {
		if !f.unknown[is] {
			*figure.into = &figure.n
		}
	}
	if !f.unknown[members] {
		out.Receivers = &f.receivers
	}
	if !f.oldest.IsZero() {
		out.Age = durationpb.New(s.ago(f.oldest))
	}
	return out
}

// Series returns the last hour of what is asked for, nil when nothing is known of it.
func (s *Store) Series(of *adminv1.GetSeriesRequest) *adminv1.GetSeriesResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{publisher: of.GetPublisher(), topic: of.GetTopic(), subscription: of.GetSubscription()}
	k.edge = k.publisher != "" || k.topic != "" && k.subscription != ""
	step := stepOf(s.now())
	var flow, depths []counts
	if found := s.shelf.all[k]; found != nil {
		flow = found.points(step)
	}
	if found := s.shelf.all[key{depth: true, subscription: k.subscription}]; found != nil && !k.edge {
		depths = found.points(step)
	}
	if flow == nil && depths == nil {
		return nil
	}
	out := &adminv1.GetSeriesResponse{
		Step: durationpb.New(Step), Newest: timestamppb.New(time.Unix(0, step*int64(Step))),
		Points: make([]*adminv1.SeriesPoint, max(len(flow), len(depths))),
	}
	for i := range out.Points {
		out.Points[i] = &adminv1.SeriesPoint{}
	}
	for i, c := range flow {
		p := out.Points[len(out.Points)-len(flow)+i]
		p.Events, p.Failed, p.Retried, p.DeadLettered = uint64(c[events]), uint64(c[failed]), uint64(c[retried]), uint64(c[deadLettered])
	}
	for i, c := range depths {
		if c[0] > 0 {
			out.Points[len(out.Points)-len(depths)+i].Depth = &adminv1.Depth{
				Backlog: new(uint64(c[0] - 1)), Retrying: new(uint64(c[1] - 1)), DeadLetters: new(uint64(c[2] - 1)), Receivers: new(c[3] - 1),
			}
		}
	}
	return out
}
