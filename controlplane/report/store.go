package report

import (
	"container/list"
	"context"
	"sync"
	"time"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/server"
)

const (
	// Interval is how often a sidecar reports.
	Interval = 5 * time.Second
	// Late is how long a sidecar that reports may be silent. Then what it said of brokers
	// counts no more, and it measures none.
	Late = 3 * Interval
	// keep is how long the counters of a process stay after its stream has ended: it may
	// come back, and its counters with it.
	keep = 10 * time.Minute
)

// Limits bound what sidecars can make the store keep. A zero field means its default.
type Limits struct {
	// Reporters are processes that report, or did so lately; default 20,000. More drop
	// the one that left first.
	Reporters int
	// Series of one hour, 6 KiB each; default 4,096.
	Series int
	// Entries of one sidecar's counters; default 1,000.
	Entries int
	// Queues that are measured at one broker; default 5,000.
	Queues int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Reporters, 20_000}, {&l.Series, 4096}, {&l.Entries, 1000}, {&l.Queues, 5000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// Options configure a Store.
type Options struct {
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Limits bound what is kept.
	Limits Limits
}

// Store is what all sidecars report. Use New.
type Store struct {
	// set at construction
	now     func() time.Time
	limits  Limits
	started time.Time
	changed chan struct{} // holds a token while Findings may say something else

	mu        sync.Mutex // guards what follows
	declared  declared
	reporters map[identity]*reporter
	streams   map[int64]*reporter // by the number of the xDS stream
	left      *list.List          // of *reporter; those without a stream, the one that left first at the front
	shelf     shelf
	brokers   map[string]*brokerView
	troubled  map[v1alpha1.ObjectName]map[*reporter]refusal
	unbacked  map[string]int // queues without a backstop, and how many sidecars say so
	losses    losses

	findings map[v1alpha1.ObjectName]status.Finding // nil when they are to be worked out
}

// losses count what was not kept.
type losses struct{ duplicates, missed, entries uint64 }

// identity is a process. Node ids are claimed by their sidecars, instances are random.
type identity struct {
	node     string
	instance uint64
}

// New returns a store in which nothing is declared.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{
		now: o.Now, limits: o.Limits.withDefaults(), started: o.Now(), changed: make(chan struct{}, 1),
		reporters: map[identity]*reporter{}, streams: map[int64]*reporter{}, left: list.New(),
		brokers: map[string]*brokerView{}, troubled: map[v1alpha1.ObjectName]map[*reporter]refusal{}, unbacked: map[string]int{},
	}
	s.shelf = newShelf(s.limits.Series)
	return s
}

// Changed returns a channel that gets a token when Findings may say something else.
func (s *Store) Changed() <-chan struct{} { return s.changed }

// touch notes that the findings are to be worked out anew. mu is held.
func (s *Store) touch() {
	s.findings = nil
	select {
	case s.changed <- struct{}{}:
	default: // there is one
	}
}

// Run looks for sidecars that are late, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Sweep()
		}
	}
}

// Sweep takes back what late sidecars said, and drops what is old.
func (s *Store) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, r := range s.streams {
		if !r.late && now.Sub(r.last) > Late {
			r.late = true
			s.retract(r)
			s.settle()
		}
	}
	for front := s.left.Front(); front != nil; front = s.left.Front() {
		r, _ := front.Value.(*reporter)
		if now.Sub(r.leftAt) <= keep {
			break
		}
		s.forget(r)
	}
	s.shelf.sweep(stepOf(now))
}

// reporter is one process that reports, or did so lately.
type reporter struct {
	identity  identity
	publisher string // "namespace/workload"

	stream int64         // of its connection; 0 when it has none
	leftAt time.Time     // when that ended
	place  *list.Element // in Store.left, while it has none
	late   bool

	sequence uint64
	last     time.Time // when the last report came
	known    bool      // a complete report has come
	zero     bool      // the process is younger than the store: its counters count from 0
	resend   bool      // it was asked for everything
	version  string    // of its configuration

	flows map[flowKey]*flow
	state *reportv1.State // bounded; nil before the first
	held  bool            // the state counts in what all sidecars see

	measures map[string]bool // brokers
	untold   bool            // measures, or their queues, are not what it was told
}

// session is one stream of reports.
type session struct {
	who      server.Speaker
	reporter *reporter // nil before the first report
}

// attach makes r the reporter of the session's stream. mu is held.
func (s *Store) attach(to *session, r *reporter) {
	if r.place != nil {
		s.left.Remove(r.place)
		r.place = nil
	}
	if r.stream != 0 && s.streams[r.stream] == r {
		delete(s.streams, r.stream)
	}
	r.stream, r.untold = to.who.Stream, len(r.measures) > 0
	s.streams[r.stream] = r
	to.reporter = r
}

// end ends a session.
func (s *Store) end(of *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := of.reporter
	if r == nil || r.stream != of.who.Stream {
		return // nothing was said, or by now it is said by another stream
	}
	delete(s.streams, r.stream)
	r.stream, r.leftAt = 0, s.now()
	r.place = s.left.PushBack(r)
	s.retract(r)
	s.settle()
}

// reporterOf returns what is known of a process; it is new if that is nothing. mu is
// held.
func (s *Store) reporterOf(who *server.Speaker, req *reportv1.ReportRequest, now time.Time) *reporter {
	id := identity{who.Node.ID, req.GetInstance()}
	if r := s.reporters[id]; r != nil {
		return r
	}
	if len(s.reporters) >= s.limits.Reporters {
		front := s.left.Front()
		if front == nil {
			return nil
		}
		s.forget(front.Value.(*reporter))
	}
	r := &reporter{
		identity:  id,
		publisher: mesh.Name{Namespace: who.Node.Namespace, Name: who.Node.Workload}.String(),
		zero:      !now.Add(-req.GetRunningFor().AsDuration()).Before(s.started),
		flows:     map[flowKey]*flow{},
	}
	s.reporters[id] = r
	return r
}

// forget drops a reporter without a stream. mu is held.
func (s *Store) forget(r *reporter) {
	s.left.Remove(r.place)
	delete(s.reporters, r.identity)
}
