package route

import (
	"errors"
	"reflect"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

// The rules of a topic say few different things about what to do with an event, each
// of which takes longer to encode, and to decode, than the rest of the rule. So each
// is worked out once per topic: of 10,000 rules a change may concern every one.

// ruleEncoder encodes the rules of one topic. What it returns may be shared between
// rules and is only to be read.
type ruleEncoder struct {
	backends map[mesh.Backend]*routev3.WeightedCluster_ClusterWeight
	retry    mesh.Retry // encoded last
	policy   *routev3.RetryPolicy
}

func newRuleEncoder() *ruleEncoder {
	return &ruleEncoder{backends: map[mesh.Backend]*routev3.WeightedCluster_ClusterWeight{}}
}

func (e *ruleEncoder) backend(b *mesh.Backend) (*routev3.WeightedCluster_ClusterWeight, error) {
	if c, ok := e.backends[*b]; ok {
		return c, nil
	}
	c, err := encodeBackend(b)
	if err == nil {
		e.backends[*b] = c
	}
	return c, err
}

func (e *ruleEncoder) retryPolicy(r mesh.Retry) (*routev3.RetryPolicy, error) {
	if e.policy != nil && reflect.DeepEqual(r, e.retry) {
		return e.policy, nil
	}
	p, err := encodeRetry(r)
	if err == nil {
		e.retry, e.policy = r, p
	}
	return p, err
}

// ruleDecoder decodes the rules of one topic. Rules may share what it returns.
type ruleDecoder struct {
	actions map[string]mesh.Rule // what was decoded, by the bytes of the action
}

func newRuleDecoder() *ruleDecoder { return &ruleDecoder{actions: map[string]mesh.Rule{}} }

// Numbers of the fields that lead from a route configuration to the actions of its
// plain routes.
const (
	configHosts protowire.Number = 2 // RouteConfiguration.virtual_hosts
	hostRoutes  protowire.Number = 3 // VirtualHost.routes
	routeRoute  protowire.Number = 2 // Route.route
)

// unpackRoutes is Unpack for a route configuration, but leaves the actions of plain
// routes as they came: one for each route, or none at all.
func unpackRoutes(body *anypb.Any, c *routev3.RouteConfiguration) (actions [][]byte, err error) {
	if message.Sound(body, c) {
		hosts := 0
		rest, err := rewrite(body.GetValue(), configHosts, func(host []byte) ([]byte, error) {
			hosts++
			return rewrite(host, hostRoutes, func(route []byte) ([]byte, error) {
				route, action, err := splitRoute(route)
				actions = append(actions, action)
				return route, err
			})
		})
		if err == nil && hosts == 1 && proto.Unmarshal(rest, c) == nil {
			return actions, nil
		}
		proto.Reset(c)
	}
	return nil, message.Unpack("", body, c)
}

// unpackRoute is Unpack for a route, but leaves its action as it came, nil when that
// cannot be.
func unpackRoute(p field.Path, body *anypb.Any, r *routev3.Route) (action []byte, err error) {
	if message.Sound(body, r) {
		rest, action, err := splitRoute(body.GetValue())
		if err == nil && proto.Unmarshal(rest, r) == nil {
			return action, nil
		}
		proto.Reset(r)
	}
	return nil, message.Unpack(p, body, r)
}

var errNotPlain = errors.New("not the plain form")

// splitRoute returns a route without its action, and the action. Two of them would
// have to be merged.
func splitRoute(route []byte) (rest, action []byte, err error) {
	rest, err = rewrite(route, routeRoute, func(b []byte) ([]byte, error) {
		if action != nil {
			return nil, errNotPlain
		}
		action = b
		return nil, nil
	})
	return rest, action, err
}

// rewrite returns a message with each value of one length-delimited field replaced,
// left out where by returns nil. It must be sound.
func rewrite(body []byte, wanted protowire.Number, by func([]byte) ([]byte, error)) ([]byte, error) {
	out := make([]byte, 0, len(body))
	for len(body) > 0 {
		number, _, n := protowire.ConsumeField(body)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		if number != wanted {
			out = append(out, body[:n]...)
		} else {
			_, _, tag := protowire.ConsumeTag(body)
			value, _ := protowire.ConsumeBytes(body[tag:])
			value, err := by(value)
			if err != nil {
				return nil, err
			}
			if value != nil {
				out = protowire.AppendTag(out, wanted, protowire.BytesType)
				out = protowire.AppendBytes(out, value)
			}
		}
		body = body[n:]
	}
	return out, nil
}
