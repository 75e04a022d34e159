package server

import (
	"strings"
	"unicode"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
)

const wildcard = "*"

// subscription is what one stream wants of one type, and has. It is guarded by the
// stream's mu.
type subscription struct {
	typeURL  string
	node     xds.Node
	names    map[string]struct{} // asked for by name
	wildcard bool                // also the scoped Listeners that concern node
	known    map[string]held     // by name
	missing  map[string]struct{} // told not to exist, as far as Sidecars tells of them
	due      bool                // the next response is sent though it may be empty
	seq      uint64              // of the view that known was up to date with; 0 for none
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
		return held{e.resource.GetVersion(), withheld}
	default:
		return held{e.resource.GetVersion(), present}
	}
}

func newSubscription(typeURL string, node xds.Node) *subscription {
	return &subscription{typeURL: typeURL, node: node, names: map[string]struct{}{}, known: map[string]held{}, missing: map[string]struct{}{}}
}

// add subscribes to a name, which is answered even if it is subscribed already: the
// sidecar may have dropped what it had (discovery.proto,
// DeltaDiscoveryRequest.resource_names_subscribe).
func (s *subscription) add(name string) {
	if name != wildcard {
		s.names[name] = struct{}{}
		delete(s.known, name)
		return
	}
	if s.wildcard {
		s.forgetUnnamed()
	}
	// Answered even with nothing, so that the sidecar knows there is nothing.
	s.wildcard, s.due = true, true
}

// remove unsubscribes from a name. What the wildcard covers as well is sent again, or
// said to be removed, as the protocol wants it.
func (s *subscription) remove(name string) {
	if name == wildcard {
		s.wildcard = false
		s.forgetUnnamed()
		return
	}
	_, named := s.names[name]
	delete(s.names, name)
	delete(s.known, name)
	delete(s.missing, name)
	if named && s.wildcard {
		s.known[name] = held{state: doubtful}
	}
}

func (s *subscription) forgetUnnamed() {
	for name := range s.known {
		if _, named := s.names[name]; !named {
			delete(s.known, name)
		}
	}
}

// change takes in what a request subscribes to, and what the sidecar still has from
// an earlier stream when it is the first of its type.
func (s *subscription) change(req *discoveryv3.DeltaDiscoveryRequest, first bool) {
	if first || len(req.GetResourceNamesSubscribe())+len(req.GetResourceNamesUnsubscribe()) > 0 {
		s.seq = 0
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		s.add(name)
	}
	if first {
		for name, version := range req.GetInitialResourceVersions() {
			if len(version) <= maxVersionBytes {
				s.known[name] = held{version, present}
			}
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		s.remove(name)
	}
}

// miss notes that a name does not exist. It returns false when too many do not.
func (s *subscription) miss(name string) bool {
	if _, known := s.missing[name]; !known && len(s.missing) >= maxMissing {
		return false
	}
	s.missing[name] = struct{}{}
	return true
}

// wants reports whether a name is subscribed to, by itself or by the wildcard.
func (s *subscription) wants(name string) bool {
	_, named := s.names[name]
	return named || s.wildcard
}

// check refuses a request that goes beyond what one stream may ask for.
func (s *subscription) check(req *discoveryv3.DeltaDiscoveryRequest, limit int) error {
	total := len(s.names)
	for _, name := range req.GetResourceNamesSubscribe() {
		if err := checkName(name); err != nil {
			return err
		}
		if _, named := s.names[name]; !named && name != wildcard {
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
