package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func newDeadLetterList(a *cli.App) *cobra.Command {
	var (
		f       letterFlags
		output  string
		payload uint32
	)
	cmd := &cobra.Command{
		Use:   "list SUBSCRIPTION",
		Short: "List the dead letters of a subscription",
		Long: `Lists dead letters in the order of their queue, the oldest first. It takes none
away and changes none, however often it is done: each is read and given back. On
RabbitMQ the broker's own mark "redelivered" and its count of returns grow; the
attempts of a letter are what they were.

While it runs, what it has read is not to be had for others who consume from the
queue. Letters that come in meanwhile are not listed.`,
		Example: `  warren deadletter list billing
  warren deadletter list billing --type 'com.shop.order.*' --since 2h
  warren deadletter list shop/billing --reason rejected -o json | jq .eventId`,
		Args: cli.Exactly("a subscription"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.OneOf("output", output, cli.Table, cli.Wide, cli.JSON, cli.YAML); err != nil {
				return err
			}
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			p := &letterPrinter{format: output, out: a.Out, style: a.OutStyle(), now: time.Now()}
			report, err := eachLetter(a, cmd, "list dead letters of "+args[0], &adminv1.ListDeadLettersRequest{
				Subscription: args[0], Filter: filter, Limit: f.limit, MaxPayloadBytes: payload,
			}, p.print)
			if err != nil || report == nil {
				return err
			}
			a.Sayf("%s of %s listed", terminal.Thousands(p.printed), terminal.Printable(letters(report.GetTotal(), report.GetQueue())))
			remarkOn(a, report)
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVarP(&output, "output", "o", cli.Table, "`format`: table, wide, json (one letter a line) or yaml")
	f.add(cmd)
	cmd.Flags().Uint32Var(&payload, "payload", 0, "show so many `bytes` of each payload; 1024 when none are given")
	cmd.Flags().Lookup("payload").NoOptDefVal = cli.DefaultPayload
	a.AddAdminFlag(cmd)
	cli.CompleteFlag(cmd, "output", cli.Table, cli.Wide, cli.JSON, cli.YAML)
	return cmd
}

func newDeadLetterShow(a *cli.App) *cobra.Command {
	var output, source string
	cmd := &cobra.Command{
		Use:   "show SUBSCRIPTION ID",
		Short: "Show a dead letter with its payload",
		Long: `Shows everything about the dead letters whose event has this id: why and when it
was given up, where it was first published, and its payload. An id is unique
with its source only, and an event may have been given up twice: all letters it
fits are shown. With -o raw nothing but the payload is written, byte for byte.

Exit code 1 means that there is none.`,
		Example: `  warren deadletter show billing order-17
  warren deadletter show billing order-17 -o raw > payload.json`,
		Args: subscriptionAnd("the id of an event"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.OneOf("output", output, cli.Wide, cli.JSON, cli.YAML, cli.Raw); err != nil {
				return err
			}
			p := &letterPrinter{format: output, out: a.Out, style: a.OutStyle(), now: time.Now()}
			report, err := eachLetter(a, cmd, "show dead letter "+args[1], &adminv1.ListDeadLettersRequest{
				Subscription: args[0], MaxPayloadBytes: math.MaxUint32,
				Filter: &adminv1.DeadLetterFilter{Ids: []string{args[1]}, Source: source},
			}, p.print)
			if err != nil || report == nil {
				return err
			}
			remarkOn(a, report)
			if p.printed == 0 {
				a.Errorf("%s", a.ErrStyle().Red(fmt.Sprintf("no dead letter of %s has the id %s", args[0], args[1])))
				a.Hint("warren deadletter list " + args[0] + " shows what is there")
				return cli.ErrReported
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVarP(&output, "output", "o", cli.Wide, "`format`: wide, json, yaml or raw (the payload alone)")
	cmd.Flags().StringVar(&source, "source", "", "only the event of this `source`")
	a.AddAdminFlag(cmd)
	cli.CompleteFlag(cmd, "output", cli.Wide, cli.JSON, cli.YAML, cli.Raw)
	return cmd
}

// subscriptionAnd wants a subscription and one more argument.
func subscriptionAnd(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return cli.Usagef("a subscription is missing")
		case len(args) == 1:
			return cli.Usagef("%s is missing", what)
		case len(args) > 2:
			return cli.Usagef("unexpected argument %q", args[2])
		}
		return nil
	}
}

// eachLetter shows each letter that req chooses and returns the report on them; nil
// means that Ctrl-C ended it.
func eachLetter(a *cli.App, cmd *cobra.Command, op string, req *adminv1.ListDeadLettersRequest, show func(*adminv1.DeadLetter) error) (*adminv1.DeadLetterReport, error) {
	s, err := a.DialAdmin(cmd)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	stream, err := s.ListDeadLetters(ctx, req)
	var report *adminv1.DeadLetterReport
	reached := false
	for err == nil {
		var r *adminv1.ListDeadLettersResponse
		if r, err = stream.Recv(); err != nil {
			break
		}
		reached = true
		if report = r.GetReport(); report == nil {
			err = show(r.GetLetter())
		}
	}
	var output *cli.OutputError
	switch {
	case errors.Is(err, io.EOF):
		return report, nil
	case errors.As(err, &output):
		return nil, err
	case cmd.Context().Err() != nil:
		return nil, nil //nolint:nilnil // it was to end
	}
	return nil, &cli.CallError{Failure: peer.Explain(err, reached), Op: op, What: "sidecar's admin listener", Address: s.Address}
}

// letters counts what is in a queue.
func letters(n uint64, queue string) string {
	noun := "letters"
	if n == 1 {
		noun = "letter"
	}
	return fmt.Sprintf("%s %s in %s", terminal.Thousands(int64(n)), noun, queue) //nolint:gosec // a queue is not that long
}

// remarkOn says what a report's reader might wonder about.
func remarkOn(a *cli.App, r *adminv1.DeadLetterReport) {
	warn := a.ErrStyle().Yellow
	if n := r.GetForeign(); n > 0 {
		a.Sayf("%s", warn(fmt.Sprintf("left alone: %d of other subscriptions that share the queue, or no dead letters", n)))
	}
	if n := r.GetConsumers(); n > 0 {
		a.Sayf("%s", warn(fmt.Sprintf("what others hold who consume from the queue is not counted; consumers: %d", n)))
	}
}
