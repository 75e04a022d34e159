package measure

import (
	"errors"
	"fmt"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/proc"
)

// Meter reads the CPU time of all processes of the comparison. Brokers and processes are
// added before the first phase that they are part of.
type Meter struct {
	brokers []int
	ours    []int // sidecars and control planes
}

// NewMeter finds the broker's process.
func NewMeter(url string) (*Meter, error) {
	uri, err := amqp.ParseURI(url)
	if err != nil {
		return nil, fmt.Errorf("parse the broker's URL: %w", err)
	}
	broker, err := proc.Listener(uri.Port)
	if errors.Is(err, proc.ErrNotFound) {
		return &Meter{}, nil
	}
	return &Meter{brokers: []int{broker}}, err
}

// Known reports whether the broker is a process of this machine. Otherwise its CPU time
// is unknown, and so is that of processes that are not part of the comparison.
func (m *Meter) Known() bool { return len(m.brokers) > 0 }

// AddBroker adds a node of the broker.
func (m *Meter) AddBroker(pid int) {
	if !slices.Contains(m.brokers, pid) {
		m.brokers = append(m.brokers, pid)
	}
}

// Add adds sidecars and control planes. Remove them before they end.
func (m *Meter) Add(pids ...int) { m.ours = append(m.ours, pids...) }

// Remove removes what was added.
func (m *Meter) Remove(pids ...int) {
	m.ours = slices.DeleteFunc(m.ours, func(pid int) bool { return slices.Contains(pids, pid) })
}

// reading is the CPU time used up to a moment.
type reading struct {
	at                                     time.Time
	driver, sidecars, broker, all, machine time.Duration
	count                                  int // messages so far
}

// read reads all CPU times. sidecars are those that work in this phase; all is the time
// of every process of the comparison.
func (m *Meter) read(sidecars []int, count int) (reading, error) {
	r := reading{at: time.Now(), count: count}
	errs := make([]error, 5)
	r.driver, errs[0] = proc.Self()
	r.sidecars, errs[1] = sum(sidecars)
	r.broker, errs[2] = sum(m.brokers)
	r.all, errs[3] = sum(m.ours)
	r.all += r.driver + r.broker
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

// Sample is the result of one phase of one target.
type Sample struct {
	Rate                    float64 // messages a second
	P50, P99, P999          time.Duration
	Driver, Sidecar, Broker float64 // µs of CPU a message
	Foreign                 float64 // cores that processes used which are not part of the comparison
	RSS                     int64   // bytes of the sidecars that worked, at the end
}

// between computes a sample's rate and times from the readings at both ends.
func (m *Meter) between(a, b reading) Sample {
	n, elapsed := float64(b.count-a.count), b.at.Sub(a.at)
	if n == 0 || elapsed <= 0 {
		return Sample{}
	}
	micros := func(used time.Duration) float64 { return float64(used) / float64(time.Microsecond) / n }
	s := Sample{
		Rate:    n / elapsed.Seconds(),
		Driver:  micros(b.driver - a.driver),
		Sidecar: micros(b.sidecars - a.sidecars),
		Broker:  micros(b.broker - a.broker),
	}
	if m.Known() { // otherwise the rest cannot be told apart
		s.Foreign = max(0, float64((b.machine-a.machine)-(b.all-a.all))/float64(elapsed))
	}
	return s
}
