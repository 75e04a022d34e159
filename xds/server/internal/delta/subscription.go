package delta

import (
	"iter"
	"strings"
	"time"
	"unicode"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
)

const wildcard = "*"

// Subscription is what one stream wants of one type, and has. Calls must not overlap.
//
//	open ──something is due──▶ queued ──its turn──▶ a response is sent
//	  ▲ ▲                        │                      │
//	  │ └──there is nothing──────┘                      │
//	  └──────────────the next request of the type───────┘
type Subscription struct {
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
	// What may differ from the view: names, or with all set everything that is asked for
	// or known, and that the wildcard brings.
	pending map[string]struct{} // nil when empty
	all     bool
}

// NewSubscription returns one of a type that is served, and of which nothing is asked
// for yet. It keeps node, which must not change.
func NewSubscription(typeURL string, node *xds.Node) *Subscription {
	return &Subscription{typeURL: typeURL, kind: KindOf(typeURL), node: node, rows: map[string]*row{}}
}

// of is what the sidecar has once it was told of a resource; nil stands for one that
// does not exist.
func (s *Subscription) of(e *Entry) held {
	switch {
	case e == nil:
		return held{state: absent}
	case s.node.Stock && e.bytes > maxStockBytes:
		return held{e.Version, withheld}
	default:
		return held{e.Version, present}
	}
}

// Look notes that the sidecar may have to be told of a resource. Names that it was not
// told of come and go; one that answers nothing must not gather them all.
func (s *Subscription) Look(name string) {
	if s.all {
		return
	}
	if len(s.pending) > len(s.rows)+maxUnknown {
		s.pending, s.all = nil, true
		return
	}
	s.note(name)
}

func (s *Subscription) note(name string) {
	if s.pending == nil {
		s.pending = map[string]struct{}{}
	}
	s.pending[name] = struct{}{}
}

// Open allows the next response. One that was sent is to be answered first, so that a
// slow sidecar is told of the last state alone.
func (s *Subscription) Open() { s.open = true }

// Queue asks for a turn. It returns false when none is needed: there is nothing to say,
// a response may not be sent, or a turn was asked for already.
func (s *Subscription) Queue() bool {
	if !s.open || s.queued || !s.answer && !s.all && s.pending == nil {
		return false
	}
	s.queued = true
	return true
}

// Turn returns what the next response says, nil for none, and takes note of it as told.
func (s *Subscription) Turn(v *View) *Difference {
	s.queued = false
	d := s.difference(v)
	if d.empty() && !s.answer {
		return nil
	}
	s.answer, s.open = false, false
	return d
}

// Named counts the names that are asked for.
func (s *Subscription) Named() int { return s.named }

// Rows yields the names of which something is known, and whether each is asked for by
// itself.
func (s *Subscription) Rows() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for name, r := range s.rows {
			if !yield(name, r.named) {
				return
			}
		}
	}
}

// Len counts the names that Rows yields.
func (s *Subscription) Len() int { return len(s.rows) }

// Status of a resource at the sidecar, which may be changed until the next call; nil when
// it was neither sent nor is known not to exist.
func (s *Subscription) Status(name string) *Status {
	if r := s.rows[name]; r != nil && r.status.State != 0 {
		return &r.status
	}
	return nil
}

// add subscribes to a name, which is answered even if it is subscribed already: the
// sidecar may have dropped what it had (discovery.proto,
// DeltaDiscoveryRequest.resource_names_subscribe).
func (s *Subscription) add(name string) {
	if name != wildcard {
		r := s.row(name)
		if !r.named {
			r.named = true
			s.named++
		}
		r.told = held{}
		s.Look(name)
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
func (s *Subscription) remove(name string) {
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
		s.Look(name)
	}
	s.tidy(name)
}

func (s *Subscription) forgetUnnamed() {
	for name, r := range s.rows {
		if !r.named {
			r.told = held{}
			s.tidy(name)
		}
	}
}

// row returns what is known of a name, which may be changed.
func (s *Subscription) row(name string) *row {
	if s.rows[name] == nil {
		s.rows[name] = &row{}
	}
	return s.rows[name]
}

// tidy drops a row that says nothing.
func (s *Subscription) tidy(name string) {
	if r := s.rows[name]; r != nil && !r.named && r.told == (held{}) && r.status.State == 0 {
		delete(s.rows, name)
	}
}

// isNamed tells whether a name is asked for by itself.
func (s *Subscription) isNamed(name string) bool { return s.rows[name] != nil && s.rows[name].named }

// Change takes in what a request subscribes to, and what the sidecar still has from
// an earlier stream when it is the first of its type. It returns the names that are
// asked for now and those that no longer are. Check must have accepted the request.
func (s *Subscription) Change(req *discoveryv3.DeltaDiscoveryRequest, first bool) (added, removed []string) {
	for _, name := range req.GetResourceNamesSubscribe() {
		s.add(name)
	}
	if first {
		for name, version := range req.GetInitialResourceVersions() {
			// A row for nothing that is asked for would stay, and count nowhere.
			if s.wants(name) && len(version) <= maxVersionBytes {
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

// Recall keeps statuses in step with what Change took in, and returns the names whose
// status it touched.
func (s *Subscription) Recall(req *discoveryv3.DeltaDiscoveryRequest, first bool, now time.Time) (touched []string) {
	if first {
		for name, version := range req.GetInitialResourceVersions() {
			if s.wants(name) && len(version) <= maxVersionBytes {
				s.row(name).status = Status{Version: version, Acked: version, State: Acked, Since: now}
				touched = append(touched, name)
			}
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		if name != wildcard {
			s.lose(name)
			touched = append(touched, name)
			continue
		}
		for name := range s.rows {
			if !s.wants(name) {
				s.lose(name)
				touched = append(touched, name)
			}
		}
	}
	return touched
}

// Sent notes that a difference is sent.
func (s *Subscription) Sent(d *Difference, now time.Time) {
	for _, e := range d.Changed {
		s.exists(e.Name)
		status := &s.row(e.Name).status
		status.Version, status.State, status.Error, status.Since = e.Version, Sent, "", now
	}
	for _, name := range d.Removed {
		if s.isNamed(name) {
			s.miss(name, now)
		} else {
			s.lose(name)
		}
	}
}

// lose forgets the status of a resource.
func (s *Subscription) lose(name string) {
	r := s.rows[name]
	if r == nil {
		return
	}
	if r.status.State == DoesNotExist {
		s.missing--
	}
	r.status = Status{}
	s.tidy(name)
}

// miss notes that a name does not exist, unless too many do not.
func (s *Subscription) miss(name string, now time.Time) {
	s.lose(name)
	if s.missing < maxMissing {
		s.missing++
		s.row(name).status = Status{State: DoesNotExist, Since: now}
	}
}

// exists takes back that a name does not.
func (s *Subscription) exists(name string) {
	if r := s.rows[name]; r != nil && r.status.State == DoesNotExist {
		s.lose(name)
	}
}

// wants reports whether a name is subscribed to, by itself or by the wildcard.
func (s *Subscription) wants(name string) bool {
	return s.wildcard || s.isNamed(name)
}

// Check refuses a request that goes beyond what one stream may ask for, of which limit
// bounds the names. Its error is a gRPC status.
func (s *Subscription) Check(req *discoveryv3.DeltaDiscoveryRequest, limit int) error {
	total := s.named
	for _, name := range req.GetResourceNamesSubscribe() {
		if err := checkName(name); err != nil {
			return err
		}
		if name != wildcard && !s.isNamed(name) {
			total++
		}
		if Beyond(total, limit) {
			return status.Errorf(codes.ResourceExhausted, "the stream subscribes to more than %d names of type %s, which is this control plane's limit", limit, ShortType(s.typeURL))
		}
	}
	// The wildcard brings some more than are named.
	if n := len(req.GetInitialResourceVersions()); Beyond(n, 2*limit) {
		return status.Errorf(codes.ResourceExhausted, "initial_resource_versions has %d names of type %s: this control plane's limit is %d", n, ShortType(s.typeURL), 2*limit)
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
