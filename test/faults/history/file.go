package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// line is one line of a run's file; exactly one field is set.
type line struct {
	Run        *header     `json:"run,omitzero"`
	Publish    *Publish    `json:"publish,omitzero"`
	Delivery   *Delivery   `json:"delivery,omitzero"`
	DeadLetter *DeadLetter `json:"dead_letter,omitzero"`
	Leftover   *Leftover   `json:"leftover,omitzero"`
	Sample     *Sample     `json:"sample,omitzero"`
	Fault      *Fault      `json:"fault,omitzero"`
	Paths      *Paths      `json:"paths,omitzero"`
}

type header struct {
	Scenario string        `json:"scenario"`
	Seed     uint64        `json:"seed"`
	Start    time.Time     `json:"start"`
	Drained  time.Duration `json:"drained,omitzero"`
}

// Save writes the run as JSON lines: a header, then one record a line. Times are
// nanoseconds.
func (r *Run) Save(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(out)
	err := enc.Encode(line{Run: &header{r.Scenario, r.Seed, r.Start.Round(0), r.Drained}})
	write := func(l line) {
		if err == nil {
			err = enc.Encode(l)
		}
	}
	for i := range r.Faults {
		write(line{Fault: &r.Faults[i]})
	}
	for i := range r.Paths {
		write(line{Paths: &r.Paths[i]})
	}
	for i := range r.Publishes {
		write(line{Publish: &r.Publishes[i]})
	}
	for i := range r.Deliveries {
		write(line{Delivery: &r.Deliveries[i]})
	}
	for i := range r.DeadLetters {
		write(line{DeadLetter: &r.DeadLetters[i]})
	}
	for i := range r.Leftovers {
		write(line{Leftover: &r.Leftovers[i]})
	}
	for i := range r.Samples {
		write(line{Sample: &r.Samples[i]})
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("save run: %w", err)
	}
	return nil
}

// Load reads what Save wrote. It returns an error that names the line for a line that
// is no record.
func Load(in io.Reader) (*Run, error) {
	run, dec := &Run{}, json.NewDecoder(bufio.NewReaderSize(in, 1<<16))
	dec.DisallowUnknownFields()
	for n := 1; ; n++ {
		var l line
		switch err := dec.Decode(&l); {
		case errors.Is(err, io.EOF) && n > 1:
			return run, nil
		case err != nil:
			return nil, fmt.Errorf("load run: line %d: %w", n, err)
		case (l.Run == nil) != (n > 1):
			return nil, fmt.Errorf("load run: line %d: the header is the first line and no other", n)
		}
		run.take(l)
	}
}

func (r *Run) take(l line) {
	switch {
	case l.Run != nil:
		r.Scenario, r.Seed, r.Start, r.Drained = l.Run.Scenario, l.Run.Seed, l.Run.Start, l.Run.Drained
	case l.Publish != nil:
		r.Publishes = append(r.Publishes, *l.Publish)
	case l.Delivery != nil:
		r.Deliveries = append(r.Deliveries, *l.Delivery)
	case l.DeadLetter != nil:
		r.DeadLetters = append(r.DeadLetters, *l.DeadLetter)
	case l.Leftover != nil:
		r.Leftovers = append(r.Leftovers, *l.Leftover)
	case l.Sample != nil:
		r.Samples = append(r.Samples, *l.Sample)
	case l.Fault != nil:
		r.Faults = append(r.Faults, *l.Fault)
	case l.Paths != nil:
		r.Paths = append(r.Paths, *l.Paths)
	}
}
