package publisher

import (
	"cmp"
	"slices"
	"sync"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
)

// InvalidInput is the reason of a record that is no valid event; it never left.
const InvalidInput = "INVALID_INPUT"

// Bounds of what an account remembers, however long the input is.
const (
	maxExamples     = 3    // of each problem
	maxDestinations = 1000 // routes and topics together
)

// Report is what became of a run.
type Report struct {
	Stats
	Elapsed time.Duration
	// Problems are the reasons events were not confirmed, the most frequent first.
	Problems []Problem
	// Destinations say where confirmed events went, by topic and route.
	Destinations []Destination
	// Last is the newest answer, nil when nothing was confirmed or in a dry run.
	Last *eventsv1.PublishResponse
}

// Problem is one reason why events were not confirmed.
type Problem struct {
	peer.Failure
	Count int64
	// Examples are the first few, by line.
	Examples []Example
}

// Example is one event with a problem.
type Example struct {
	Line    int // in the input, 0 for an event made from flags
	ID      string
	Message string
}

// Destination is a topic that events reached by one route.
type Destination struct {
	Topic string
	Route string // empty: no rule matched, the topic itself
	Count int64
}

// account collects; it has its own lock, because every worker writes to it once
// an event.
type account struct {
	mu           sync.Mutex
	problems     map[problemKey]*Problem
	destinations map[destinationKey]int64
	last         *eventsv1.PublishResponse
}

type problemKey struct{ code, reason, outcome string }

type destinationKey struct{ topic, route string }

func invalid(err error) peer.Failure {
	return peer.Failure{Reason: InvalidInput, Message: err.Error()}
}

func (a *account) fail(rec cejson.Record, f peer.Failure) {
	example := Example{Line: rec.Line, Message: f.Message}
	if rec.Event != nil {
		example.ID = rec.Event.ID
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problems == nil {
		a.problems = map[problemKey]*Problem{}
	}
	key := problemKey{f.Code, f.Reason, f.Outcome}
	p := a.problems[key]
	if p == nil {
		p = &Problem{Failure: f}
		a.problems[key] = p
	}
	p.Count++
	// Workers finish in any order: keep the lowest lines.
	at, _ := slices.BinarySearchFunc(p.Examples, example.Line, func(e Example, line int) int { return e.Line - line })
	p.Examples = slices.Insert(p.Examples, at, example)
	p.Examples = p.Examples[:min(len(p.Examples), maxExamples)]
}

func (a *account) confirm(resp *eventsv1.PublishResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.destinations == nil {
		a.destinations = map[destinationKey]int64{}
	}
	key := destinationKey{resp.GetTopic(), resp.GetRoute()}
	if _, known := a.destinations[key]; known || len(a.destinations) < maxDestinations {
		a.destinations[key]++
	}
	a.last = resp
}

func (a *account) report() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := Report{Last: a.last}
	for _, p := range a.problems {
		r.Problems = append(r.Problems, *p)
	}
	slices.SortFunc(r.Problems, func(x, y Problem) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Title(), y.Title()), cmp.Compare(x.Outcome, y.Outcome))
	})
	for key, n := range a.destinations {
		r.Destinations = append(r.Destinations, Destination{Topic: key.topic, Route: key.route, Count: n})
	}
	slices.SortFunc(r.Destinations, func(x, y Destination) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Route, y.Route))
	})
	return r
}
