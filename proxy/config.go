package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/xds/client"
)

// apply puts a configuration in force, or refuses it and changes nothing.
func (p *Proxy) apply(s *client.Snapshot) client.Refusals {
	cfg := s.Config
	if p.opts.MemoryOnly {
		cfg = inMemory(cfg)
	}
	var bad pool.Unbuildable
	if errors.As(p.config.Apply(cfg, s.At), &bad) {
		return client.Refusals(bad)
	}
	p.readiness.changed()
	subscriptions := p.config.Current().Subscriptions
	p.pusher.Apply(subscriptions)
	p.watcher.Apply(subscriptions)
	p.opts.Logger.Info("configuration applied", "config_version", s.Version, "from_disk", s.FromDisk,
		"topics", len(cfg.Topics), "subscriptions", len(cfg.Subscriptions), "brokers", len(cfg.Brokers))
	return nil
}

// fetch asks the control plane for a topic that was never used, and waits for it within
// ctx. The error is a refusal.
func (p *Proxy) fetch(ctx context.Context, name mesh.Name) error {
	switch err := p.xds.Await(ctx, name); {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrNotFound):
		return refusal.Missing(refusal.TopicNotFound, "EventTopic", name.String(), fmt.Sprintf("topic %s is not declared", name))
	case errors.Is(err, client.ErrTooManyTopics):
		return &refusal.Error{Class: refusal.Exhausted, Reason: refusal.BufferFull, Text: err.Error(), Outcome: broker.NotSent}
	case errors.Is(err, client.ErrTooManyNewTopics):
		return refusal.Full(refusal.BufferFull, fmt.Sprintf("topic %s was not looked up: too many topics that do not exist were asked for lately", name))
	default:
		return refusal.Later(refusal.ConfigNotReady, fmt.Sprintf("configuration of topic %s has not arrived from the control plane", name))
	}
}
