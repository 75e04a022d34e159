package sidecar

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
)

// drainPhases are the values of --phase.
var drainPhases = map[string]adminv1.DrainPhase{
	"delivery": adminv1.DrainPhase_DRAIN_PHASE_DELIVERY,
	"all":      adminv1.DrainPhase_DRAIN_PHASE_ALL,
}

// drainMargin is how long the answer may take after the drain's own timeout.
const drainMargin = 5 * time.Second

// NewDrain makes warren drain.
func NewDrain(a *cli.App) *cobra.Command {
	var (
		phase   string
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "End a sidecar's deliveries before its service is stopped",
		Long: `Tells a sidecar to hand out no more deliveries, lets the service settle what it
holds, and returns when that has ended. What is not settled in time goes back to
its queue. Publishing goes on, so that the service can finish its work; with
--phase=all publishes are refused, too, and the sidecar is not ready any more.

It can be repeated and cannot be undone: the sidecar is expected to be stopped.
In Kubernetes it is the sidecar's preStop hook, which runs before the service is
told to stop. Exit code 1 means that something was not settled in time.`,
		Example: `  warren drain --phase=delivery
  warren drain --phase=all --timeout 5s --admin 127.0.0.1:17510`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.OneOf("phase", phase, "delivery", "all"); err != nil {
				return err
			}
			if timeout <= 0 {
				return cli.Usagef("--timeout %s: want a positive duration", timeout)
			}
			return drain(a, cmd, phase, timeout)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&phase, "phase", "delivery", "what to end: delivery, or all")
	flags.DurationVar(&timeout, "timeout", 20*time.Second, "how long services may take to settle; the sidecar's own drain timeout is the most")
	a.AddAdminFlag(cmd)
	cli.CompleteFlag(cmd, "phase", "delivery", "all")
	return cmd
}

func drain(a *cli.App, cmd *cobra.Command, phase string, timeout time.Duration) error {
	s, err := a.DialAdmin(cmd)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout+drainMargin)
	defer cancel()
	var at grpcpeer.Peer
	resp, err := s.Drain(ctx, &adminv1.DrainRequest{Phase: drainPhases[phase], Timeout: durationpb.New(timeout)}, grpc.Peer(&at))
	if err != nil {
		return s.Failure("drain", err, at.Addr != nil)
	}
	took := resp.GetTook().AsDuration().Round(time.Millisecond)
	if !resp.GetClean() {
		a.Errorf("%s", a.ErrStyle().Yellow("drained in "+took.String()+"; what was not settled in time goes back to its queue"))
		return cli.ErrReported
	}
	a.Sayf("drained in %s: no more deliveries%s", took, map[bool]string{true: " and no more publishes"}[phase == "all"])
	return nil
}
