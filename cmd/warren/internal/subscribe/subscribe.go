// Package subscribe is warren subscribe: it prints the events of a subscription and settles them.
package subscribe

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/subscribe/receiver"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// subscribeFlags are the flags of warren subscribe.
type subscribeFlags struct {
	output     string
	count      int64
	window     uint32
	outcome    string
	noAck      bool
	retryAfter time.Duration
	reason     string
}

// outcomes are the values of --outcome.
var outcomes = map[string]eventsv1.Outcome{
	"ack":         eventsv1.Outcome_OUTCOME_ACK,
	"retry":       eventsv1.Outcome_OUTCOME_RETRY,
	"dead-letter": eventsv1.Outcome_OUTCOME_DEAD_LETTER,
}

// New makes warren subscribe.
func New(a *cli.App) *cobra.Command {
	f := &subscribeFlags{}
	cmd := &cobra.Command{
		Use:   "subscribe SUBSCRIPTION",
		Short: "Receive the events of a subscription and print them",
		Long: `Receives the events of a subscription through a sidecar, prints each and then
acknowledges it: what was printed is not delivered again. The sidecar's workload
must be one that the subscription selects; other receivers of the subscription
share its events with this one.

With -o json events are CloudEvents 1.0 in JSON, one a line, and warren publish
reads them back byte for byte. With --outcome retry or dead-letter events are
refused instead. With --no-ack they are left unsettled and go back to the queue
when the command ends; that counts as an attempt, and no more than --window
events come.

Ctrl-C ends the command cleanly: what is printed is settled.`,
		Example: `  warren subscribe billing
  warren subscribe billing -o json --count 10 > events.ndjson
  warren subscribe shop/billing --no-ack -o wide
  warren subscribe billing --outcome dead-letter --reason "not ours" --count 1`,
		Args: cli.Exactly("a subscription"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(a, cmd, args[0], f)
		},
		ValidArgsFunction: a.CompleteObjects(v1alpha1.KindEventSubscription),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", cli.Table, "`format`: table, wide, json, yaml or raw (payloads only, one a line)")
	flags.Int64VarP(&f.count, "count", "n", 0, "end after `n` events (default: never)")
	a.AddSidecarFlag(cmd)
	flags.Uint32Var(&f.window, "window", 64, "events on their way at once")
	flags.StringVar(&f.outcome, "outcome", "ack", "what to do with each event: ack, retry or dead-letter")
	flags.BoolVar(&f.noAck, "no-ack", false, "settle nothing, only look")
	flags.DurationVar(&f.retryAfter, "retry-after", 0, "with --outcome retry: wait at least so long (default: as the subscription says)")
	flags.StringVar(&f.reason, "reason", "", "with --outcome retry or dead-letter: why, at most 200 bytes")
	cli.CompleteFlag(cmd, "output", cli.Table, cli.Wide, cli.JSON, cli.YAML, cli.Raw)
	cli.CompleteFlag(cmd, "outcome", "ack", "retry", "dead-letter")
	return cmd
}

// options checks the flags and turns them into the receiver's.
func (f *subscribeFlags) options(cmd *cobra.Command) (receiver.Options, error) {
	if err := cli.OneOf("output", f.output, cli.Table, cli.Wide, cli.JSON, cli.YAML, cli.Raw); err != nil {
		return receiver.Options{}, err
	}
	if err := cli.OneOf("outcome", f.outcome, "ack", "retry", "dead-letter"); err != nil {
		return receiver.Options{}, err
	}
	o := receiver.Options{
		Outcome: outcomes[f.outcome], RetryAfter: f.retryAfter, Reason: f.reason, Count: f.count, Window: f.window,
	}
	switch {
	case f.noAck && cmd.Flags().Changed("outcome"):
		return o, cli.Usagef("--no-ack and --outcome: only one of them")
	case f.noAck:
		o.Outcome = eventsv1.Outcome_OUTCOME_UNSPECIFIED
	case f.retryAfter != 0 && o.Outcome != eventsv1.Outcome_OUTCOME_RETRY:
		return o, cli.Usagef("--retry-after goes with --outcome retry only")
	}
	switch {
	case f.count < 0:
		return o, cli.Usagef("--count %d: want 0 or more", f.count)
	case f.window < 1 || f.window > 65535:
		return o, cli.Usagef("--window %d: want 1 to 65535", f.window)
	case f.retryAfter < 0:
		return o, cli.Usagef("--retry-after %s: want a positive duration", f.retryAfter)
	case len(f.reason) > 200:
		return o, cli.Usagef("--reason: want at most 200 bytes, not %d", len(f.reason))
	}
	return o, nil
}

func run(a *cli.App, cmd *cobra.Command, subscription string, f *subscribeFlags) error {
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	address, err := a.SidecarAddress(cmd)
	if err != nil {
		return err
	}
	conn, err := peer.Dial(address)
	if err != nil {
		return cli.Usage(err)
	}
	defer conn.Close()

	reached := false
	o.Subscription = subscription
	o.Deliver = (&deliveryPrinter{format: f.output, out: a.Out, style: a.OutStyle()}).print
	o.Ready = func(r *eventsv1.SubscribeReady) {
		reached = true
		a.Sayf("receiving %s from topic %s; Ctrl-C ends", terminal.Printable(r.GetSubscription()), terminal.Printable(r.GetTopic()))
		warnOfOthers(a, r)
	}
	stats, err := receiver.Run(cmd.Context(), client.New(conn).API(), o)
	if err == nil || stats.Delivered > 0 {
		a.Sayf("received %s, %d settled", cli.Events(stats.Delivered), stats.Settled)
	}
	var output *cli.OutputError
	if err == nil || errors.As(err, &output) {
		return err
	}
	failure := peer.Explain(err, reached)
	if failure.Code == "UNKNOWN" { // not from gRPC
		return err
	}
	return &cli.CallError{Failure: failure, Op: "subscribe to " + subscription, What: "sidecar", Address: address}
}

// warnOfOthers says that events are taken from a service, which may miss them.
func warnOfOthers(a *cli.App, r *eventsv1.SubscribeReady) {
	others := r.GetOtherReceivers()
	if others == 0 {
		return
	}
	a.Sayf("%s", a.ErrStyle().Yellow(fmt.Sprintf("this takes events from the service: the sidecar has %s of this subscription, and each event goes to one of them",
		cli.Plural(int(others), "other receiver"))))
	if !a.Quiet {
		a.Hint("warren tail " + r.GetSubscription() + " shows events and takes none")
	}
}
