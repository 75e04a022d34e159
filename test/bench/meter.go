package main

import (
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/proc"
)

// meter reads the CPU time of all processes of the comparison.
type meter struct {
	broker int   // process id; 0 when it runs on another machine
	others []int // part of the comparison but of no target: control planes
}

// newMeter finds the broker's process.
func newMeter(url string) (*meter, error) {
	uri, err := amqp.ParseURI(url)
	if err != nil {
		return nil, fmt.Errorf("parse the broker's URL: %w", err)
	}
	broker, err := proc.Listener(uri.Port)
	if errors.Is(err, proc.ErrNotFound) {
		return &meter{}, nil
	}
	return &meter{broker: broker}, err
}

// reading is the CPU time used up to a moment.
type reading struct {
	at                                        time.Time
	driver, sidecars, broker, others, machine time.Duration
	count                                     int // messages so far
}

// read reads all CPU times. sidecars belong to the measured target; the sidecars of
// other targets are idle meanwhile.
func (m *meter) read(sidecars []int, count int) (reading, error) {
	r := reading{at: time.Now(), count: count}
	errs := make([]error, 5)
	r.driver, errs[0] = proc.Self()
	r.sidecars, errs[1] = sum(sidecars)
	r.others, errs[2] = sum(m.others)
	if m.broker > 0 {
		r.broker, errs[3] = proc.CPU(m.broker)
	}
	r.machine, errs[4] = proc.Machine()
	return r, errors.Join(errs...)
}

func sum(pids []int) (total time.Duration, err error) {
	for _, pid := range pids {
		used, err := proc.CPU(pid)
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

// sample is the result of one phase of one target.
type sample struct {
	rate                    float64 // messages a second
	p50, p99                time.Duration
	driver, sidecar, broker float64 // µs of CPU a message
	foreign                 float64 // cores that other processes used
}

// between computes a sample's rate and times from the readings at both ends.
func (m *meter) between(a, b reading) sample {
	n, elapsed := float64(b.count-a.count), b.at.Sub(a.at)
	if n == 0 || elapsed <= 0 {
		return sample{}
	}
	micros := func(used time.Duration) float64 { return float64(used) / float64(time.Microsecond) / n }
	s := sample{
		rate:    n / elapsed.Seconds(),
		driver:  micros(b.driver - a.driver),
		sidecar: micros(b.sidecars - a.sidecars),
		broker:  micros(b.broker - a.broker),
	}
	if m.broker > 0 { // otherwise the rest cannot be told apart
		ours := (b.driver - a.driver) + (b.sidecars - a.sidecars) + (b.broker - a.broker) + (b.others - a.others)
		s.foreign = max(0, float64(b.machine-a.machine-ours)/float64(elapsed))
	}
	return s
}
