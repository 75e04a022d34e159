package deadletter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	grpcpeer "google.golang.org/grpc/peer"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// heldTimeout bounds a call about held keys, which needs no broker.
const heldTimeout = 10 * time.Second

func newDeadLetterHeld(a *cli.App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "held SUBSCRIPTION",
		Short: "List the keys of an ordered subscription that are held",
		Long: `Lists the keys that this sidecar holds: after one of their events was given up,
what follows of them is dead-lettered, too, in order, until they are released.
Only subscriptions with ordering PerKey and key policy Hold have such keys. Each
sidecar holds those of the partitions it has, in memory: ask all of them.`,
		Example: `  warren deadletter held billing
  warren deadletter held shop/billing -o json | jq -r '.keys[]'`,
		Args: cli.Exactly("a subscription"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.OneOf("output", output, cli.Text, cli.JSON, cli.YAML); err != nil {
				return err
			}
			s, err := a.DialAdmin(cmd)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), heldTimeout)
			defer cancel()
			var at grpcpeer.Peer
			resp, err := s.ListHeldKeys(ctx, &adminv1.ListHeldKeysRequest{Subscription: args[0]}, grpc.Peer(&at))
			if err != nil {
				return s.Failure("list held keys of "+args[0], err, at.Addr != nil)
			}
			if output != cli.Text {
				return cli.WriteMessage(a.Out, output, resp)
			}
			for _, key := range resp.GetKeys() {
				if _, err := fmt.Fprintln(a.Out, terminal.Printable(key)); err != nil {
					return fmt.Errorf("write output: %w", err)
				}
			}
			a.Sayf("%s held by this sidecar", keys(len(resp.GetKeys())))
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", cli.Text, "`format`: text (one key a line), json or yaml")
	a.AddAdminFlag(cmd)
	cli.CompleteFlag(cmd, "output", cli.Text, cli.JSON, cli.YAML)
	return cmd
}

func newDeadLetterRelease(a *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "release SUBSCRIPTION [KEY...]",
		Short: "Let held keys of an ordered subscription go on",
		Long: `Lets keys go on that this sidecar holds: their next event is delivered again.
What was dead-lettered of them stays in the dead-letter queue. Release a key
before you redrive its letters: while it is held, what comes back of it is
dead-lettered again. Events published meanwhile are then delivered before those
that are redriven.`,
		Example: `  warren deadletter release billing customer-17
  warren deadletter release shop/billing --all`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return cli.Usagef("a subscription is missing")
			case len(args) == 1 && !all:
				return cli.Usagef("name the keys to release, or say --all; warren deadletter held %s lists them", args[0])
			case len(args) > 1 && all:
				return cli.Usagef("--all and keys: only one of them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.DialAdmin(cmd)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), heldTimeout)
			defer cancel()
			asked := slices.Compact(slices.Sorted(slices.Values(args[1:]))) // a key that is named twice is released once
			var at grpcpeer.Peer
			resp, err := s.ReleaseHeldKeys(ctx, &adminv1.ReleaseHeldKeysRequest{Subscription: args[0], Keys: asked, All: all}, grpc.Peer(&at))
			if err != nil {
				return s.Failure("release "+strings.Join(args, " "), err, at.Addr != nil)
			}
			released := int(resp.GetReleased())
			a.Sayf("%s released", keys(released))
			if missing := len(asked) - released; missing > 0 {
				a.Errorf("%s", a.ErrStyle().Yellow(fmt.Sprintf("%s not held by this sidecar; another may hold them", keys(missing))))
				return cli.ErrReported
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every key that this sidecar holds")
	a.AddAdminFlag(cmd)
	return cmd
}

func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}
