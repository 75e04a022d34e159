package file

import (
	"maps"
	"slices"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// moment is why a read happens.
type moment int

const (
	atOnce moment = iota // with the first of a run of changes
	quiet                // when changes have settled, or were gathered for long
)

// Loss is something that is in force and missing in a newer set.
type Loss struct {
	Object v1alpha1.ObjectName // zero when it is about a file
	Text   string              // "is not declared any more"
}

// String returns "EventTopic shop/orders is not declared any more".
func (l Loss) String() string {
	if l.Object == (v1alpha1.ObjectName{}) {
		return l.Text
	}
	return l.Object.String() + " " + l.Text
}

// held is a set that waits until its content stays the same.
type held struct {
	waits bool
	sum   digest
	since time.Time // when sum was first found
}

// read hands the content on if it is new and may come into force now; see Run.
func (s *Source) read(m moment) {
	began := time.Now()
	r := load(s.opts.Dir, &s.memory)
	r.set.Began, r.set.Read = began, time.Now()
	if s.handed && r.sum == s.last {
		s.release()
		return
	}
	if len(r.problems) > 0 && m == atOnce {
		return
	}
	if losses := s.inForce.losses(&r); len(r.problems) == 0 && len(losses) > 0 && !s.still(r.sum, losses) {
		return
	}
	s.release()
	s.last, s.handed = r.sum, true
	switch s.apply(r.set, r.problems) {
	case InForce:
		s.inForce = formsOf(&r)
	case RefusedYet:
		s.retry = true
	}
	s.took = time.Since(began)
}

// again lets a set be handed on once more that was refused for a temporary reason.
func (s *Source) again() {
	if s.retry {
		s.handed, s.retry = false, false
	}
}

// still reports whether content has been the same for Options.Still, and starts that
// wait.
func (s *Source) still(sum digest, losses []Loss) bool {
	now := time.Now()
	switch {
	case !s.held.waits:
		s.opts.Logger.Warn("configuration removes something, waiting until the directory is still",
			"still_for", s.opts.Still, "losses", len(losses), "first", losses[0].String())
		fallthrough
	case s.held.sum != sum:
		s.held = held{waits: true, sum: sum, since: now}
		s.opts.Waiting(losses)
		return false
	default:
		return now.Sub(s.held.since) >= s.opts.Still
	}
}

// release ends a wait.
func (s *Source) release() {
	if s.held.waits {
		s.held = held{}
		s.opts.Waiting(nil)
	}
}

// forms are the fields and files of the set in force. One that is missing later may be
// in a file that is being written.
type forms struct {
	objects map[v1alpha1.ObjectName]map[string]int // lines of the fields that are set
	order   []v1alpha1.ObjectName
	files   map[string]fileForm
}

func formsOf(r *reading) forms {
	f := forms{objects: make(map[v1alpha1.ObjectName]map[string]int, len(r.set.Objects)), files: r.files}
	for i := range r.set.Objects {
		name := r.set.Objects[i].Name()
		f.objects[name] = r.set.Objects[i].Lines
		f.order = append(f.order, name)
	}
	return f
}

// losses lists what is in force and missing in r: objects, fields of objects, and the
// final line breaks of files that changed. A file that was cut anywhere lacks one of
// them, unless only new content is missing. Before the first set is in force there are
// no losses.
func (f *forms) losses(r *reading) []Loss {
	if f.objects == nil {
		return nil
	}
	now := formsOf(r)
	var out []Loss
	for _, name := range f.order {
		lines, found := now.objects[name]
		switch {
		case !found:
			out = append(out, Loss{name, "is not declared any more"})
		default:
			if field := lost(f.objects[name], lines); field != "" {
				out = append(out, Loss{name, "does not set " + field + " any more"})
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(now.files)) {
		if form := now.files[file]; !form.ended && form.sum != f.files[file].sum {
			out = append(out, Loss{Text: file + " ends without a line break"})
		}
	}
	return out
}

// lost returns the first field that was set and is not set any more, "" for none.
func lost(was, now map[string]int) string {
	var fields []string
	for field := range was {
		if _, ok := now[field]; !ok {
			fields = append(fields, field)
		}
	}
	if len(fields) == 0 {
		return ""
	}
	return slices.Min(fields)
}
