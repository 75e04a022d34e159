package server

import (
	"strings"
	"time"
	"unicode"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
)

const wildcard = "*"

// subscription is what one stream wants of one type, and has. It is guarded by the
// stream's mu.
//
//	open ──something is due──▶ queued ──its turn──▶ a response is sent
//	  ▲ ▲                        │                      │
//	  │ └──there is nothing──────┘                      │
//	  └──────────────the next request of the type───────┘
type subscription struct {
	typeURL  string
	kind     int8
	node     *xds.Node
	rows     map[string]*row // what is known of names
	named    int             // rows that are asked for by name
	missing  int             // rows whose state is DoesNotExist
	wildcard bool            // also the scoped Listeners that concern node

	open   bool // a response may be sent
	queued bool // its turn will come
	answer bool // the next response is sent though it may be empty
	// What may differ from the view: names, and with all set also everything that is
	// known or that the wildcard brings.
	pending map[string]struct{} // nil when empty
	all     bool
}

// row is what is known of one name: nothing is kept of a name that is none of these.
type row struct {
	named bool // it is asked for by name
	told  held // zero when the sidecar was not told of it
	state      // what Sidecars tells of it; zero for nothing
}

// state is a ResourceState without its name.
type state struct {
	version, acked, err string
	state               State
	since               time.Time
}

func (s *state) resource(typeURL, name string) ResourceState {
	return ResourceState{TypeURL: typeURL, Name: name, Version: s.version, Acked: s.acked, State: s.state, Error: s.err, Since: s.since}
}

// held is what a sidecar has of a resource.
type held struct {
	version string
	state   knowledge
}

// knowledge says what a held means. The zero value is never stored, so a missing map
// entry differs from every held.
type knowledge int

const (
	present  knowledge = iota + 1 // it has the version
	absent                        // it was told that the resource does not exist
	doubtful                      // it must be sent again, whatever it has
	withheld                      // it was told that the version is too large for it
)

// of is what the sidecar has once it was told of a resource; nil stands for one that
// does not exist.
func (s *subscription) of(e *entry) held {
	switch {
	case e == nil:
		return held{state: absent}
	case s.node.Stock && e.bytes > maxStockBytes:
		return held{e.version, withheld}
	default:
		return held{e.version, present}
	}
}

func newSubscription(typeURL string, node *xds.Node) *subscription {
	return &subscription{typeURL: typeURL, kind: kindOf(typeURL), node: node, rows: map[string]*row{}}
}

// look notes that the sidecar may have to be told of a resource.
func (s *subscription) look(name string) {
	if s.pending == nil {
		s.pending = map[string]struct{}{}
	}
	s.pending[name] = struct{}{}
}

// promising tells whether there may be something to say.
func (s *subscription) promising() bool { return s.answer || s.all || s.pending != nil }

// add subscribes to a name, which is answered even if it is subscribed already: the
// sidecar may have dropped what it had (discovery.proto,
// DeltaDiscoveryRequest.resource_names_subscribe).
func (s *subscription) add(name string) {
	if name != wildcard {
		r := s.row(name)
		if !r.named {
			r.named = true
			s.named++
		}
		r.told = held{}
		s.look(name)
		return
	}
	for _, r := range s.rows {
		if !r.named && r.told != (held{}) && s.wildcard {
			r.told = held{state: doubtful}
		}
	}
	// Answered even with nothing, so that the sidecar knows there is nothing.
	s.wildcard, s.answer, s.all = true, true, true
}

// remove unsubscribes from a name. What the wildcard covers as well is sent again, or
// said to be removed, as the protocol wants it.
func (s *subscription) remove(name string) {
	if name == wildcard {
		s.wildcard = false
		s.forgetUnnamed()
		return
	}
	r := s.rows[name]
	if r == nil {
		return
	}
	told := r.named || r.told != (held{})
	if r.named {
		r.named = false
		s.named--
	}
	r.told = held{}
	if s.wildcard && told {
		r.told = held{state: doubtful}
		s.look(name)
	}
	s.tidy(name)
}

func (s *subscription) forgetUnnamed() {
	for name, r := range s.rows {
		if !r.named {
			r.told = held{}
			s.tidy(name)
		}
	}
}

// row returns what is known of a name, which may be changed.
func (s *subscription) row(name string) *row {
	if s.rows[name] == nil {
		s.rows[name] = &row{}
	}
	return s.rows[name]
}

// tidy drops a row that says nothing.
func (s *subscription) tidy(name string) {
	if r := s.rows[name]; r != nil && !r.named && r.told == (held{}) && r.state.state == 0 {
		delete(s.rows, name)
	}
}

// isNamed tells whether a name is asked for by itself.
func (s *subscription) isNamed(name string) bool { return s.rows[name] != nil && s.rows[name].named }

// change takes in what a request subscribes to, and what the sidecar still has from
// an earlier stream when it is the first of its type. It returns the names that are
// asked for now and those that no longer are.
func (s *subscription) change(req *discoveryv3.DeltaDiscoveryRequest, first bool) (added, removed []string) {
	for _, name := range req.GetResourceNamesSubscribe() {
		s.add(name)
	}
	if first {
		for name, version := range req.GetInitialResourceVersions() {
			if len(version) <= maxVersionBytes {
				s.row(name).told = held{version, present}
				s.all = true
			}
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		s.remove(name)
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		if s.isNamed(name) {
			added = append(added, name)
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		if !s.isNamed(name) {
			removed = append(removed, name)
		}
	}
	return added, removed
}

// lose forgets the state of a resource.
func (s *subscription) lose(name string) {
	r := s.rows[name]
	if r == nil {
		return
	}
	if r.state.state == DoesNotExist {
		s.missing--
	}
	r.state = state{}
	s.tidy(name)
}

// miss notes that a name does not exist, unless too many do not.
func (s *subscription) miss(name string, now time.Time) {
	s.lose(name)
	if s.missing < maxMissing {
		s.missing++
		s.row(name).state = state{state: DoesNotExist, since: now}
	}
}

// exists takes back that a name does not.
func (s *subscription) exists(name string) {
	if r := s.rows[name]; r != nil && r.state.state == DoesNotExist {
		s.lose(name)
	}
}

// wants reports whether a name is subscribed to, by itself or by the wildcard.
func (s *subscription) wants(name string) bool {
	return s.wildcard || s.isNamed(name)
}

// check refuses a request that goes beyond what one stream may ask for.
func (s *subscription) check(req *discoveryv3.DeltaDiscoveryRequest, limit int) error {
	total := s.named
	for _, name := range req.GetResourceNamesSubscribe() {
		if err := checkName(name); err != nil {
			return err
		}
		if name != wildcard && !s.isNamed(name) {
			total++
		}
		if beyond(total, limit) {
			return status.Errorf(codes.ResourceExhausted, "the stream subscribes to more than %d names of type %s, which is this control plane's limit", limit, shortType(s.typeURL))
		}
	}
	// The wildcard brings some more than are named.
	if n := len(req.GetInitialResourceVersions()); beyond(n, 2*limit) {
		return status.Errorf(codes.ResourceExhausted, "initial_resource_versions has %d names of type %s: this control plane's limit is %d", n, shortType(s.typeURL), 2*limit)
	}
	for name := range req.GetInitialResourceVersions() {
		if err := checkName(name); err != nil {
			return err
		}
	}
	return nil
}

func checkName(name string) error {
	if len(name) > maxNameBytes {
		return status.Errorf(codes.InvalidArgument, "a resource name has %d bytes: want at most %d", len(name), maxNameBytes)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return status.Errorf(codes.InvalidArgument, "resource name %q: it must not contain control characters", name)
	}
	return nil
}

// shortType is the last word of a type URL.
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
