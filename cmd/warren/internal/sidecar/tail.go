// Package sidecar is warren tail and warren drain: what is asked of one running sidecar.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// tailFlags are the flags of warren tail.
type tailFlags struct {
	output  string
	count   uint64
	sample  float64
	payload uint32
}

// NewTail makes warren tail.
func NewTail(a *cli.App) *cobra.Command {
	f := &tailFlags{}
	cmd := &cobra.Command{
		Use:   "tail [TOPIC|SUBSCRIPTION]",
		Short: "Watch events pass a sidecar, live",
		Long: `Shows the events that pass a sidecar from now on: when a publish is confirmed
or fails, when an event is handed to the service, and when that is settled. It
takes no events from anybody and slows none down: what it cannot show in time is
left out and counted.

A name is a subscription of the sidecar's workload if there is one, else a
topic; topic/NAME and subscription/NAME say which. Without a name all is shown.
Payloads are shown only with --payload. With --sample the same events are chosen
at every stage and at every sidecar. Ctrl-C ends the command.`,
		Example: `  warren tail orders
  warren tail billing --payload
  warren tail --sample 1 --admin 127.0.0.1:17510
  warren tail subscription/shop/billing -o json --count 10 | jq .outcome`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return tail(a, cmd, strings.Join(args, ""), f)
		},
		ValidArgsFunction: a.CompleteObjects(v1alpha1.KindEventTopic, v1alpha1.KindEventSubscription),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", cli.Table, "`format`: table, wide, json (one event a line) or yaml")
	flags.Uint64VarP(&f.count, "count", "n", 0, "end after `n` lines (default: never)")
	flags.Float64Var(&f.sample, "sample", 100, "`percent` of the events to show, above 0")
	flags.Uint32Var(&f.payload, "payload", 0, "show so many `bytes` of each payload, at most 65536; 1024 when none are given")
	flags.Lookup("payload").NoOptDefVal = cli.DefaultPayload
	a.AddAdminFlag(cmd)
	cli.CompleteFlag(cmd, "output", cli.Table, cli.Wide, cli.JSON, cli.YAML)
	return cmd
}

func (f *tailFlags) check() error {
	if err := cli.OneOf("output", f.output, cli.Table, cli.Wide, cli.JSON, cli.YAML); err != nil {
		return err
	}
	switch {
	case !(f.sample > 0 && f.sample <= 100): // so that NaN is refused, too
		return cli.Usagef("--sample %g: want above 0, at most 100", f.sample)
	case f.payload > cli.MaxPayload:
		return cli.Usagef("--payload %d: want at most %d", f.payload, cli.MaxPayload)
	}
	return nil
}

func tail(a *cli.App, cmd *cobra.Command, name string, f *tailFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	s, err := a.DialAdmin(cmd)
	if err != nil {
		return err
	}
	defer s.Close()
	req, err := tailRequest(cmd.Context(), a, s, name)
	if err != nil {
		return err
	}
	req.MaxPayloadBytes = f.payload
	if f.sample < 100 {
		req.SamplePercent = &f.sample
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	stream, err := s.Tap(ctx, req)
	if err == nil {
		_, err = stream.Recv() // the tap is open
	}
	if err != nil {
		return tailEnd(ctx, s, name, err, 0)
	}
	a.Sayf("watching %s; Ctrl-C ends", terminal.Printable(tailTarget(req)))
	t := &tailer{app: a, printer: tailPrinter{format: f.output, out: a.Out, style: a.OutStyle()}, count: f.count}
	err = t.follow(stream)
	if t.shown > 0 || err == nil || ctx.Err() != nil {
		a.Sayf("%d shown, %d missed", t.shown, t.dropped)
	}
	return tailEnd(ctx, s, name, err, t.shown)
}

// tailEnd judges why a tap ended; Ctrl-C is no error.
func tailEnd(ctx context.Context, s *cli.Admin, name string, err error, shown uint64) error {
	var output *cli.OutputError
	switch {
	case err == nil, errors.Is(err, io.EOF), ctx.Err() != nil:
		return nil //nolint:nilerr // it was to end
	case errors.As(err, &output):
		return err
	}
	f := peer.Explain(err, shown > 0)
	return &cli.CallError{Failure: f, Op: strings.TrimSpace("tail " + name), What: "sidecar's admin listener", Address: s.Address}
}

// tailRequest finds out what a name is: the sidecar knows its subscriptions.
func tailRequest(ctx context.Context, a *cli.App, s *cli.Admin, name string) (*adminv1.TapRequest, error) {
	if topic, ok := strings.CutPrefix(name, "topic/"); ok {
		return &adminv1.TapRequest{Topic: topic}, nil
	}
	if subscription, ok := strings.CutPrefix(name, "subscription/"); ok {
		return &adminv1.TapRequest{Subscription: subscription}, nil
	}
	if name == "" {
		return &adminv1.TapRequest{}, nil
	}
	dump, err := s.Dump(ctx, 10*time.Second)
	if err != nil {
		return nil, err
	}
	full := name
	if !strings.Contains(name, "/") {
		full = dump.GetNamespace() + "/" + name
	}
	known := false
	for _, t := range dump.GetTopics() {
		known = known || t.GetName() == full
	}
	for _, sub := range dump.GetSubscriptions() {
		known = known || sub.GetTopic() == full
	}
	for _, sub := range dump.GetSubscriptions() {
		switch {
		case sub.GetName() == full && known:
			return nil, cli.Usagef("%s is a topic and a subscription: say topic/%s or subscription/%s", full, name, name)
		case sub.GetName() == full:
			return &adminv1.TapRequest{Subscription: full}, nil
		}
	}
	if !known {
		a.Sayf("this sidecar has not used topic %s yet; its events are shown once it does", terminal.Printable(full))
	}
	return &adminv1.TapRequest{Topic: full}, nil
}

func tailTarget(r *adminv1.TapRequest) string {
	switch {
	case r.GetTopic() != "":
		return "topic " + r.GetTopic()
	case r.GetSubscription() != "":
		return "subscription " + r.GetSubscription()
	default:
		return "all events of the sidecar"
	}
}

// tailer shows what a tap says.
type tailer struct {
	app     *cli.App
	printer tailPrinter
	count   uint64 // 0 for no end

	shown, dropped uint64
}

// follow returns nil after count lines, else why the stream ended.
func (t *tailer) follow(stream adminv1.AdminService_TapClient) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		if r.GetDropped() > t.dropped {
			t.app.Sayf("%s", t.app.ErrStyle().Yellow(fmt.Sprintf("%d more passed unseen: they come faster than they can be shown; use --sample", r.GetDropped()-t.dropped)))
			t.dropped = r.GetDropped()
		}
		if err := t.printer.print(r); err != nil {
			return err
		}
		if t.shown++; t.shown == t.count {
			return nil
		}
	}
}
