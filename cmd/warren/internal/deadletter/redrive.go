package deadletter

import (
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
)

// destinations are the values of --to.
var destinations = map[string]adminv1.RedriveDestination{
	"subscription": adminv1.RedriveDestination_REDRIVE_DESTINATION_SUBSCRIPTION,
	"topic":        adminv1.RedriveDestination_REDRIVE_DESTINATION_TOPIC,
}

func newDeadLetterRedrive(a *cli.App) *cobra.Command {
	var (
		f    letterFlags
		j    letterJob
		to   string
		rate float64
	)
	cmd := &cobra.Command{
		Use:   "redrive SUBSCRIPTION",
		Short: "Send dead letters back to be delivered again",
		Long: `Sends dead letters back as first attempts, the oldest first and one after the
other: each is published, confirmed by the broker, and only then removed, so
that none is lost and order is kept. What fails stays. Event, trace context and
origin are what they were; the service sees it as redelivered.

They go to the subscription's own queue, so that nobody else gets them again;
with --to topic they go where they were first published, and every subscription
of the topic does. Letters that die anew meanwhile are left for another time.

Ctrl-C ends it after the letter that is on its way. Exit code 1 means that it
ended early or that letters could not be sent back.`,
		Example: `  warren deadletter redrive billing --dry-run
  warren deadletter redrive billing --type 'com.shop.order.*' --rate 50
  warren deadletter redrive billing --id order-17
  warren deadletter redrive shop/billing --to topic --since 2026-11-23T10:00:00Z`,
		Args: cli.Exactly("a subscription"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.OneOf("to", to, "subscription", "topic"); err != nil {
				return err
			}
			if cmd.Flags().Changed("rate") && !(rate >= 0.001) { // so that NaN is refused, too
				return cli.Usagef("--rate %g: want at least 0.001", rate)
			}
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			req := &adminv1.RedriveDeadLettersRequest{
				Subscription: args[0], Filter: filter, Limit: f.limit, DryRun: j.dryRun, Destination: destinations[to],
			}
			if rate > 0 {
				req.PerSecond = &rate
			}
			j.op, j.done, j.would = "redrive dead letters of "+args[0], "redriven", "would be redriven"
			return work(a, cmd, &j, redriving(cmd, req))
		},
	}
	cmd.Flags().SortFlags = false
	f.add(cmd)
	cmd.Flags().Float64Var(&rate, "rate", 0, "at most so many `letters` a second (default: as fast as they are confirmed)")
	cmd.Flags().StringVar(&to, "to", "subscription", "`where` to: subscription, or topic")
	j.add(cmd)
	a.AddAdminFlag(cmd)
	cli.CompleteFlag(cmd, "to", "subscription", "topic")
	return cmd
}

// redriving starts the call.
func redriving(cmd *cobra.Command, req *adminv1.RedriveDeadLettersRequest) starter {
	return func(s *cli.Admin) (func() (*adminv1.DeadLetterReport, error), error) {
		stream, err := s.RedriveDeadLetters(cmd.Context(), req)
		return func() (*adminv1.DeadLetterReport, error) {
			r, err := stream.Recv()
			return r.GetReport(), err
		}, err
	}
}

func newDeadLetterPurge(a *cli.App) *cobra.Command {
	var (
		f   letterFlags
		j   letterJob
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "purge SUBSCRIPTION",
		Short: "Delete dead letters permanently",
		Long: `Permanently deletes dead letters of a subscription: all that were there at the
start, or those that flags choose. It asks first; --yes answers, and is needed
where nobody can be asked. --dry-run only counts.

Ctrl-C ends it; what is removed stays removed.`,
		Example: `  warren deadletter purge billing --reason invalid-event --dry-run
  warren deadletter purge billing --until 30d --yes
  warren deadletter purge billing --id order-17`,
		Args: cli.Exactly("a subscription"),
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			req := &adminv1.PurgeDeadLettersRequest{Subscription: args[0], Filter: filter, Limit: f.limit, DryRun: j.dryRun}
			j.op, j.done, j.would = "purge dead letters of "+args[0], "removed", "would be removed"
			if !j.dryRun && !yes {
				req.DryRun = true
				if agreed, err := confirm(a, cmd, &j, purging(cmd, req)); err != nil || !agreed {
					return err
				}
				req.DryRun = false
			}
			return work(a, cmd, &j, purging(cmd, req))
		},
	}
	cmd.Flags().SortFlags = false
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	j.add(cmd)
	a.AddAdminFlag(cmd)
	return cmd
}

// purging starts the call.
func purging(cmd *cobra.Command, req *adminv1.PurgeDeadLettersRequest) starter {
	return func(s *cli.Admin) (func() (*adminv1.DeadLetterReport, error), error) {
		stream, err := s.PurgeDeadLetters(cmd.Context(), req)
		return func() (*adminv1.DeadLetterReport, error) {
			r, err := stream.Recv()
			return r.GetReport(), err
		}, err
	}
}
