package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

const (
	flagSidecar  = "sidecar"
	flagWorkload = "workload"
)

// findTimeout bounds the question to the control plane where a sidecar is.
const findTimeout = 10 * time.Second

// AddSidecarFlag adds --sidecar, the event address of a sidecar, and --workload.
func (a *App) AddSidecarFlag(cmd *cobra.Command) {
	cmd.Flags().String(flagSidecar, peer.DefaultSidecar, "`address` of the sidecar, host:port or unix:/path; env "+peer.EnvSidecar)
	a.addWorkloadFlag(cmd)
}

func (a *App) addWorkloadFlag(cmd *cobra.Command) {
	cmd.Flags().String(flagWorkload, "", "the sidecar of this workload on this machine: its `name`, or the beginning of the sidecar's id; the control plane knows its address (env "+peer.EnvControlPlane+")")
	a.CompleteFlagFrom(cmd, flagWorkload, SidecarNames)
}

// SidecarAddress is where the sidecar that is meant serves events.
func (a *App) SidecarAddress(cmd *cobra.Command) (string, error) {
	return a.addressOf(cmd, flagSidecar, peer.EnvSidecar, "serves events at an address that it does not tell", func(s *adminv1.Sidecar) string {
		if len(s.GetListen()) == 0 {
			return ""
		}
		return s.GetListen()[0]
	})
}

// AdminAddress is where the sidecar that is meant serves operators.
func (a *App) AdminAddress(cmd *cobra.Command) (string, error) {
	return a.addressOf(cmd, flagAdmin, peer.EnvSidecarAdmin, "tells no admin address", (*adminv1.Sidecar).GetAdmin)
}

func (a *App) addressOf(cmd *cobra.Command, flag, env, silent string, address func(*adminv1.Sidecar) string) (string, error) {
	workload, _ := cmd.Flags().GetString(flagWorkload) // the flag exists
	if workload == "" {
		return a.Address(cmd, flag, env), nil
	}
	if cmd.Flags().Changed(flag) {
		return "", Usagef("--%s and --%s: only one of them", flag, flagWorkload)
	}
	s, err := a.findSidecar(cmd.Context(), workload)
	if err != nil {
		return "", err
	}
	found := address(s)
	if found == "" {
		a.Errorf("%s", a.ErrStyle().Red("sidecar "+terminal.Printable(s.GetId())+" "+silent))
		a.Hint("it may be of an older version; use --" + flag)
		return "", ErrReported
	}
	return found, nil
}

// findSidecar asks the control plane for the one sidecar that a name means.
func (a *App) findSidecar(ctx context.Context, name string) (*adminv1.Sidecar, error) {
	plane := cmp.Or(a.Getenv(peer.EnvControlPlane), peer.DefaultControlPlane)
	state, err := FetchStatus(ctx, plane, "", findTimeout)
	if err != nil {
		return nil, err
	}
	found := SelectSidecars(state.GetSidecars(), name)
	if len(found) == 1 {
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, s := range found {
		ids[i] = terminal.Printable(s.GetId())
	}
	slices.Sort(ids)
	if len(found) == 0 {
		a.Errorf("%s", a.ErrStyle().Red("no sidecar of "+name+" is connected to the control plane at "+plane))
		a.Hint("warren status lists those that are")
	} else {
		a.Errorf("%s", a.ErrStyle().Red(name+" has "+Plural(len(found), "sidecar")+": say which, by its id"))
		a.Notef("  %s", strings.Join(ids, "\n  "))
	}
	return nil, ErrReported
}

// SelectSidecars returns the sidecars that a name means: an id, a workload as
// "name" or "namespace/name", or the beginning of an id.
func SelectSidecars(all []*adminv1.Sidecar, name string) []*adminv1.Sidecar {
	for _, means := range []func(*adminv1.Sidecar) bool{
		func(s *adminv1.Sidecar) bool { return s.GetId() == name },
		func(s *adminv1.Sidecar) bool {
			return s.GetWorkload() == name || s.GetNamespace()+"/"+s.GetWorkload() == name
		},
		func(s *adminv1.Sidecar) bool { return strings.HasPrefix(s.GetId(), name) },
	} {
		found := slices.DeleteFunc(slices.Clone(all), func(s *adminv1.Sidecar) bool { return !means(s) })
		if len(found) > 0 {
			return found
		}
	}
	return nil
}
