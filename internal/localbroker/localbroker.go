package localbroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker/install"
)

// ErrNone means that no step led to a broker. The error that wraps it gives the reason
// of each.
var ErrNone = errors.New("no RabbitMQ found and none could be started")

// errRefused means that a node could not evaluate an expression.
var errRefused = errors.New("not evaluated")

// Step is one way to get a broker.
type Step int

// The steps, in the order they are tried.
const (
	Given     Step = iota + 1 // Options.URL
	Running                   // a RabbitMQ that answers on Options.Address
	Installed                 // an installed rabbitmq-server, as a private node
	Install                   // the same after an installation by apt or Homebrew
	Container                 // a container, where a Docker daemon answers
)

var stepNames = [...]string{
	Given: "AMQP_URL", Running: "running broker", Installed: "installed rabbitmq-server",
	Install: "installation", Container: "container",
}

// String returns the step's name for people.
func (s Step) String() string {
	if s >= Given && int(s) < len(stepNames) {
		return stepNames[s]
	}
	return fmt.Sprintf("Step(%d)", int(s))
}

// Want says which RabbitMQ is wanted. The zero value means any.
type Want = install.Want

// WantFrom reads the environment of make's targets. RABBITMQ is the version. CACHE_DIR
// is the cache, by default warren in the user's cache directory.
func WantFrom(getenv func(string) string) Want { return install.WantFrom(getenv) }

// Options says where to look and where to keep things.
type Options struct {
	// URL is the broker that the user named in AMQP_URL; "" when there is none. A
	// named broker must answer: Start does not look further.
	URL string
	// Address is where a running broker is looked for. "" means 127.0.0.1:5672.
	Address string
	// Dir is where a private node keeps its data and logs; it is made when it is
	// missing, and emptied of an earlier node's files. While another process uses
	// it, Dir-2 to Dir-9 are tried. "" means .run/rabbitmq.
	Dir string
	// Want is the wanted RabbitMQ. It applies to brokers that are found, too.
	Want Want
	// Skip are steps not to try.
	Skip []Step
	// BootTimeout bounds the start of a node or container. 0 means 90 seconds.
	BootTimeout time.Duration
	// Report gets lines for people: what was tried, which broker is used, and the
	// progress of slow steps. Several goroutines may call it. nil discards them.
	Report func(line string)
}

func (o Options) withDefaults() Options {
	o.Address = cmp.Or(o.Address, "127.0.0.1:5672")
	o.Dir = cmp.Or(o.Dir, ".run/rabbitmq")
	o.BootTimeout = cmp.Or(o.BootTimeout, 90*time.Second)
	if o.Report == nil {
		o.Report = func(string) {}
	}
	return o
}

func (o *Options) report(format string, args ...any) { o.Report(fmt.Sprintf(format, args...)) }

// Start returns the first broker that a step finds or starts, once it answers. What it
// started runs until Stop or until this process ends, not only until ctx ends. The
// error is ErrNone with all reasons, or why the broker of Options.URL does not answer,
// or ctx's.
func Start(ctx context.Context, options Options) (*Broker, error) {
	o := options.withDefaults()
	if o.URL != "" && !slices.Contains(o.Skip, Given) {
		return o.given(ctx)
	}
	var reasons []error
	for _, try := range []struct {
		step  Step
		start func(context.Context) (*Broker, error)
	}{
		{Running, o.running}, {Installed, o.installed}, {Install, o.anew}, {Container, o.container},
	} {
		if slices.Contains(o.Skip, try.step) {
			reasons = append(reasons, fmt.Errorf("%v: skipped", try.step))
			continue
		}
		b, err := try.start(ctx)
		if err == nil {
			o.report("broker: %s", b.How)
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("look for a RabbitMQ: %w", ctx.Err())
		}
		if !errors.Is(err, install.ErrNotHere) {
			o.report("broker: no %v: %s", try.step, firstLine(err))
		}
		reasons = append(reasons, fmt.Errorf("%v: %w", try.step, err))
	}
	return nil, fmt.Errorf("%w:\n%w", ErrNone, errors.Join(reasons...))
}

// given uses the broker that the user named.
func (o *Options) given(ctx context.Context) (*Broker, error) {
	server, err := Probe(ctx, o.URL)
	if err != nil {
		return nil, fmt.Errorf("the broker AMQP_URL names: %w", err)
	}
	if err := o.Want.Check(server); err != nil {
		return nil, fmt.Errorf("the broker AMQP_URL names: %w", err)
	}
	b := &Broker{URL: o.URL, How: server + ", as AMQP_URL says", report: o.Report}
	o.report("broker: %s", b.How)
	return b, nil
}

// running uses a broker that runs already.
func (o *Options) running(ctx context.Context) (*Broker, error) {
	url := localURL(o.Address)
	server, err := Probe(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := o.Want.Check(server); err != nil {
		return nil, err
	}
	return &Broker{URL: url, How: server + ", already running on " + o.Address, report: o.Report}, nil
}

// installed starts a private node of what is installed.
func (o *Options) installed(ctx context.Context) (*Broker, error) {
	in, err := install.Find(o.Want)
	if err != nil {
		return nil, err
	}
	return o.startNode(ctx, in)
}

// anew installs RabbitMQ, and starts a private node unless the package started
// a node of the system. One of a wanted version is fetched into the cache instead.
func (o *Options) anew(ctx context.Context) (*Broker, error) {
	if o.Want.Version != "" {
		in, err := install.Fetch(ctx, o.Want, o.report)
		if err != nil {
			return nil, err
		}
		return o.startNode(ctx, in)
	}
	if err := install.Install(ctx, o.report); err != nil {
		return nil, err
	}
	if b, err := o.running(ctx); err == nil {
		return b, nil
	}
	return o.installed(ctx)
}

// localURL is the URL of a RabbitMQ with default settings.
func localURL(address string) string { return "amqp://guest:guest@" + address + "/" }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
