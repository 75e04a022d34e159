package proxy

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client"
)

// ServerInfo implements admin.Sidecar.
func (p *Proxy) ServerInfo() *adminv1.GetServerInfoResponse {
	n := p.opts.Node
	out := &adminv1.GetServerInfoResponse{
		Node: n.ID, Namespace: n.Namespace, Workload: n.Workload, Labels: n.Labels, Version: n.Version,
		StaleSettlements: p.deliver.StaleSettlements(), Brokers: p.brokerNodes(),
		Drained: adminv1.DrainPhase(p.drained.Load()), DeadLetters: p.deadLetterCounts(), QueuesWithoutBackstop: p.withoutBackstop(),
	}
	if err := p.Ready(); err != nil {
		out.Reason = err.Error()
	}
	out.Ready = out.Reason == ""
	select {
	case <-p.started:
		out.Listeners = p.EventAddresses()
		out.Uptime = durationpb.New(time.Since(p.startedAt))
	default:
	}
	if cur := p.config.Current(); cur != nil {
		out.ConfigVersion = cur.Config.Version
	}
	out.ConfigFromDisk = p.xds.Status().FromDisk
	return out
}

func (p *Proxy) deadLetterCounts() (out []*adminv1.DeadLetterCount) {
	for _, c := range p.deliver.DeadLetters() {
		out = append(out, &adminv1.DeadLetterCount{
			Subscription: c.Subscription.String(), Reason: c.Reason, Count: c.Count, ByPolicy: c.ByBroker,
			Last: timestamppb.New(c.Last), LastId: strings.ToValidUTF8(c.LastID, "�"),
		})
	}
	return out
}

// withoutBackstop lists queues that should have a dead-letter queue of their own and have
// none, of brokers where this sidecar declares and has declared.
func (p *Proxy) withoutBackstop() (out []string) {
	cur := p.config.Current()
	if cur == nil {
		return nil
	}
	for _, name := range mesh.Sorted(cur.Config.Subscriptions) {
		s := cur.Config.Subscriptions[name]
		if b := cur.Config.Brokers[s.Broker]; b == nil || b.Topology != mesh.Manage || !p.pool.Declared(s.Broker, xds.SubscriptionResource(name)) {
			continue
		}
		driver, err := p.pool.PickConsumer(s.Broker)
		if err != nil {
			continue
		}
		if watcher, ok := driver.(broker.Watcher); ok {
			out = append(out, watcher.Unkept(s)...)
		}
	}
	return out
}

// ConfigDump implements admin.Sidecar. Configuration names credentials and never
// holds them, so there is nothing to take out.
func (p *Proxy) ConfigDump() *adminv1.GetConfigDumpResponse {
	status, n := p.xds.Status(), p.opts.Node
	out := &adminv1.GetConfigDumpResponse{
		Node: n.ID, Namespace: n.Namespace, Workload: n.Workload,
		FromDisk: status.FromDisk, StateFileError: status.StateFileError,
		ControlPlane: &adminv1.ControlPlaneContact{Address: status.Server, Connected: status.Connected, LastError: status.LastError},
		Resources:    resourceDump(status.Resources),
	}
	if !status.LastContact.IsZero() {
		out.ControlPlane.LastContact = timestamppb.New(status.LastContact)
	}
	cur := p.config.Current()
	if cur == nil {
		return out
	}
	out.Version, out.AppliedAt = cur.Config.Version, timestamppb.New(cur.At)
	for _, name := range mesh.Sorted(cur.Config.Topics) {
		out.Topics = append(out.Topics, topicDump(cur.Config.Topics[name]))
	}
	for _, name := range mesh.Sorted(cur.Config.Subscriptions) {
		out.Subscriptions = append(out.Subscriptions, subscriptionDump(cur.Config.Subscriptions[name]))
	}
	nodes := p.brokerNodes()
	for _, name := range mesh.Sorted(cur.Config.Brokers) {
		out.Brokers = append(out.Brokers, brokerDump(cur.Config.Brokers[name], nodes))
	}
	return out
}

// brokerNodes joins the declared nodes with the state of their drivers.
func (p *Proxy) brokerNodes() []*adminv1.BrokerNode {
	declared := map[string]mesh.Node{}
	if cur := p.config.Current(); cur != nil {
		for name, b := range cur.Config.Brokers {
			for _, n := range b.Nodes {
				declared[name.String()+" "+n.Address] = n
			}
		}
	}
	var out []*adminv1.BrokerNode
	for _, c := range p.pool.Conditions() {
		n := declared[c.Broker.String()+" "+c.Address]
		out = append(out, &adminv1.BrokerNode{
			Broker: c.Broker.String(), Address: c.Address, Server: c.Server, Publishing: c.Publishing,
			Consuming: c.Consuming, Blocked: c.Blocked, Reason: c.Reason, Priority: n.Priority, Zone: n.Zone,
			QueuesGone: c.Gone,
		})
	}
	return out
}

func topicDump(t *mesh.Topic) *adminv1.TopicConfig {
	out := &adminv1.TopicConfig{Name: t.Name.String()}
	for i := range t.Rules {
		r := &t.Rules[i]
		rule := &adminv1.RuleConfig{Name: r.Name, Filters: filterTexts(r.Filters), Attempts: r.Retry.Attempts}
		if r.Timeout > 0 {
			rule.Timeout = durationpb.New(r.Timeout)
		}
		for _, on := range r.Retry.On {
			rule.RetryOn = append(rule.RetryOn, on.String())
		}
		for j := range r.Backends {
			d := &r.Backends[j].Destination
			rule.Backends = append(rule.Backends, &adminv1.BackendConfig{
				Topic: d.Topic.String(), Weight: r.Backends[j].Weight, Broker: d.Broker.String(),
				Exchange: d.Exchange.Name, ExchangeType: d.Exchange.Type, RoutingKey: string(d.RoutingKey),
				ConfirmTimeout: durationpb.New(d.ConfirmTimeout), MaxEventBytes: d.MaxEventBytes,
				Partitions: partitionsDump(d.Partitions), Headers: d.Headers.Entries(),
			})
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

func subscriptionDump(s *mesh.Subscription) *adminv1.SubscriptionConfig {
	out := &adminv1.SubscriptionConfig{
		Name: s.Name.String(), Topic: s.Topic.String(), Broker: s.Broker.String(),
		Queue: s.Queue.Name, QueueType: s.Queue.Type, Prefetch: s.Queue.Prefetch, Filters: filterTexts(s.Filters),
		AckDeadline: durationpb.New(s.AckDeadline), Attempts: s.Attempts, DeadLetterQueue: s.DeadLetterQueue,
		Ordering: s.Ordering.String(), Partitions: partitionsDump(s.Partitions), PrefetchBytes: s.Queue.PrefetchBytes,
		MaxDecodedBytes: s.MaxDecoded,
	}
	if s.Ordering == mesh.PerKey {
		out.MaxElapsed, out.KeyPolicy = durationpb.New(s.MaxElapsed), s.KeyPolicy.String()
	}
	if s.Dedupe.Window > 0 {
		out.DedupeWindow, out.DedupeMaxEntries = durationpb.New(s.Dedupe.Window), s.Dedupe.MaxEntries
	}
	return out
}

func partitionsDump(p mesh.Partitions) *adminv1.PartitionsConfig {
	if p.Count == 0 {
		return nil
	}
	return &adminv1.PartitionsConfig{Count: p.Count, Key: p.Key}
}

func brokerDump(b *mesh.Broker, nodes []*adminv1.BrokerNode) *adminv1.BrokerConfig {
	out := &adminv1.BrokerConfig{
		Name: b.Name.String(), Type: b.Type.String(), Vhost: b.VHost, Credentials: b.Credentials, Topology: b.Topology.String(),
	}
	for _, n := range nodes {
		if n.GetBroker() == out.Name {
			out.Nodes = append(out.Nodes, n)
		}
	}
	return out
}

func resourceDump(resources []client.ResourceStatus) []*adminv1.ConfigResource {
	out := make([]*adminv1.ConfigResource, len(resources))
	for i, r := range resources {
		out[i] = &adminv1.ConfigResource{
			TypeUrl: r.TypeURL, Name: r.Name, State: r.State.String(), Version: r.Version,
			RejectedVersion: r.RejectedVersion, Error: r.Error,
		}
	}
	return out
}

func filterTexts(filters []mesh.Filter) []string {
	out := make([]string, len(filters))
	for i, f := range filters {
		out[i] = filterText(f)
	}
	return out
}

// filterText writes a filter as one reads it aloud: prefix(type, "com.shop.").
func filterText(f mesh.Filter) string {
	if len(f.Sub) > 0 {
		return f.Op.String() + "(" + strings.Join(filterTexts(f.Sub), ", ") + ")"
	}
	return fmt.Sprintf("%s(%s, %q)", f.Op, f.Attr, f.Value)
}
