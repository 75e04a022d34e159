// Package deadletter is warren deadletter: list, show, redrive, purge, held and release, through
// a sidecar's admin address.
package deadletter

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
)

// New makes warren deadletter with its commands.
func New(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deadletter",
		Aliases: []string{"dlq"},
		Short:   "List, redrive and purge dead letters",
		Long: `Works on the events that were given up for a subscription, through the sidecar
of one of its workloads, which has the connection to the broker. Several
subscriptions may share a dead-letter queue: only the letters of the one that is
named are shown and touched.`,
	}
	cmd.AddCommand(newDeadLetterList(a), newDeadLetterShow(a), newDeadLetterRedrive(a), newDeadLetterPurge(a), newDeadLetterHeld(a), newDeadLetterRelease(a))
	for _, sub := range cmd.Commands() {
		sub.ValidArgsFunction = a.CompleteObjects(v1alpha1.KindEventSubscription)
	}
	return cmd
}

// letterFlags are the flags that choose letters.
type letterFlags struct {
	types, reasons, ids  []string
	source, since, until string
	limit                uint32
}

func (f *letterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.types, "type", nil, "only events of this `type`, or of types with this prefix if it ends in *; repeatable")
	flags.StringArrayVar(&f.reasons, "reason", nil, "only given up for this `reason`: rejected, attempts-exhausted, ack-deadline, invalid-event, retries-elapsed or key-held; repeatable")
	flags.StringVar(&f.since, "since", "", "only given up since this `time`, in RFC 3339, or so long ago: 90m, 2h, 7d")
	flags.StringVar(&f.until, "until", "", "only given up before this `time`, or longer ago")
	flags.StringArrayVar(&f.ids, "id", nil, "only the event of this `id`; repeatable")
	flags.StringVar(&f.source, "source", "", "only events of this `source`")
	flags.Uint32VarP(&f.limit, "limit", "n", 0, "end after `n` letters (default: all that were there at the start)")
	cli.CompleteFlag(cmd, "reason", "rejected", "attempts-exhausted", "ack-deadline", "invalid-event", "retries-elapsed", "key-held")
}

// filter turns the flags into what the sidecar takes.
func (f *letterFlags) filter(now time.Time) (*adminv1.DeadLetterFilter, error) {
	out := &adminv1.DeadLetterFilter{Ids: f.ids, Source: f.source, Types: f.types, Reasons: f.reasons}
	var err error
	if out.Since, err = moment("since", f.since, now); err != nil {
		return nil, err
	}
	if out.Until, err = moment("until", f.until, now); err != nil {
		return nil, err
	}
	if s, u := out.GetSince(), out.GetUntil(); s != nil && u != nil && !s.AsTime().Before(u.AsTime()) {
		return nil, cli.Usagef("--since %s is not before --until %s: no dead letter can be in between", f.since, f.until)
	}
	return out, nil
}

// moment reads a time, or how long ago it was; "" is nil.
func moment(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the flag was not given
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return timestamppb.New(t), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return timestamppb.New(now.Add(-time.Duration(n) * 24 * time.Hour)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return timestamppb.New(now.Add(-d)), nil
	}
	return nil, cli.Usagef("--%s %q: want a time such as 2026-11-23T10:00:00Z, or how long ago: 90m, 2h, 7d", flag, text)
}
