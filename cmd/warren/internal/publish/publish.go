// Package publish is warren publish: one event from flags, or a file of them, and the account of
// what became of each.
package publish

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/publisher"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// publishFlags are the flags of warren publish.
type publishFlags struct {
	event       eventFlags
	file        string
	concurrency int
	timeout     time.Duration
	retry       bool
	dryRun      bool
	output      string
	headers     []string
}

// New makes warren publish.
func New(a *cli.App) *cobra.Command {
	f := &publishFlags{}
	cmd := &cobra.Command{
		Use:   "publish TOPIC (--type TYPE --source SOURCE | -f FILE)",
		Short: "Publish one event, or a file of events, to a topic",
		Long: `Publishes events through a sidecar and waits for the broker's confirm of each.

One event is described by flags. Many come with -f from a file, or from standard
input with "-f -": CloudEvents 1.0 in JSON, one a line (NDJSON), one after the
other, or as one JSON array; gzip is recognised. Payloads arrive byte for byte.

Events are published in the order of the file, each after the confirm of the one
before. --concurrency 64 is faster: events are published side by side and may
overtake each other. With --retry an event that failed with UNAVAILABLE is sent
again with the same id until --timeout, so it may arrive twice, but never as two
different events.

Exit code 0 means that every event was confirmed.`,
		Example: `  warren publish orders --type com.shop.order.placed --source /checkout \
      --subject order-17 --data '{"total": 42}'
  warren publish orders -f events.ndjson.gz --retry
  generate-events | warren publish shop/orders -f - --concurrency 64
  warren publish orders -f events.json --dry-run`,
		Args: cli.Exactly("a topic"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(a, cmd, args[0], f)
		},
		ValidArgsFunction: a.CompleteObjects(v1alpha1.KindEventTopic),
	}
	f.add(a, cmd)
	return cmd
}

func (f *publishFlags) add(a *cli.App, cmd *cobra.Command) {
	f.event.add(cmd)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.file, "file", "f", "", "read events from `file`, - for standard input")
	a.AddSidecarFlag(cmd)
	flags.StringArrayVar(&f.headers, "header", nil, "send a header beside each event, as `name=value`, which the topic must allow; may be repeated")
	flags.IntVar(&f.concurrency, "concurrency", 1, "events on their way at once; with more than 1 they may overtake each other")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "time for one event, all its tries included")
	flags.BoolVar(&f.retry, "retry", false, "repeat events that failed with UNAVAILABLE")
	flags.BoolVar(&f.dryRun, "dry-run", false, "read and validate only, publish nothing")
	flags.StringVarP(&f.output, "output", "o", cli.Text, "`format` of the result on standard output: text (nothing), json or yaml")
	cli.CompleteFlag(cmd, "output", cli.Text, cli.JSON, cli.YAML)
}

func (f *publishFlags) check() error {
	if err := cli.OneOf("output", f.output, cli.Text, cli.JSON, cli.YAML); err != nil {
		return err
	}
	if f.concurrency < 1 || f.concurrency > 10000 {
		return cli.Usagef("--concurrency %d: want 1 to 10000", f.concurrency)
	}
	if f.timeout <= 0 {
		return cli.Usagef("--timeout %s: want a positive duration", f.timeout)
	}
	return nil
}

func run(a *cli.App, cmd *cobra.Command, topic string, f *publishFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	headers, err := parseHeaders(f.headers)
	if err != nil {
		return err
	}
	in, err := openInput(a, cmd, f)
	if err != nil {
		return err
	}
	defer in.close()

	var events publisher.Client
	address := ""
	if !f.dryRun {
		if address, err = a.SidecarAddress(cmd); err != nil {
			return err
		}
		conn, err := peer.Dial(address)
		if err != nil {
			return cli.Usage(err)
		}
		defer conn.Close()
		events = client.New(conn)
	}
	p := publisher.New(events, publisher.Options{
		Topic: topic, Concurrency: f.concurrency, Timeout: f.timeout, Retry: f.retry, DryRun: f.dryRun, Headers: headers,
	})
	stop := a.ShowProgress(cmd.Context(), "events", func() terminal.Count {
		s := p.Stats()
		return terminal.Count{Done: s.Confirmed, Failed: s.Failed, Part: in.part()}
	})
	report, err := p.Run(cmd.Context(), in)
	stop()
	return reportPublish(a, publishResult{topic: topic, address: address, flags: f, report: report, stopped: err})
}

// parseHeaders makes text headers of name=value.
func parseHeaders(flags []string) (map[string]*eventsv1.HeaderValue, error) {
	if len(flags) == 0 {
		return nil, nil
	}
	out := map[string]*eventsv1.HeaderValue{}
	for _, flag := range flags {
		name, value, found := strings.Cut(flag, "=")
		if !found || name == "" {
			return nil, cli.Usagef("--header %q: want name=value", flag)
		}
		out[name] = &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_StringValue{StringValue: value}}
	}
	return out, nil
}
