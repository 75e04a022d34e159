package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
)

// completionTimeout bounds what a press of the tabulator may cost.
const completionTimeout = time.Second

// Complete completes a command's one argument from what the control plane knows.
// Without one it offers nothing, and says nothing: the shell would print it into
// the command line.
func (a *App) Complete(names func(*adminv1.GetStatusResponse) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		address := a.Getenv(peer.EnvControlPlane)
		if address == "" {
			address = peer.DefaultControlPlane
		}
		if f := cmd.Flags().Lookup("control-plane"); f != nil {
			address = a.Address(cmd, "control-plane", peer.EnvControlPlane)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		state, err := FetchStatus(ctx, address, "", completionTimeout)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found := slices.DeleteFunc(names(state), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		slices.Sort(found)
		return slices.Compact(found), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteObjects completes the names of objects of some kinds: by their name alone while they share a
// namespace, else with it, because the sidecar's own is not known here.
func (a *App) CompleteObjects(kinds ...string) cobra.CompletionFunc {
	return a.Complete(func(state *adminv1.GetStatusResponse) []string {
		namespaces := map[string]bool{}
		var full, short []string
		for _, o := range state.GetObjects() {
			if !slices.Contains(kinds, o.GetKind()) {
				continue
			}
			namespaces[o.GetNamespace()] = true
			full = append(full, o.GetNamespace()+"/"+o.GetName())
			short = append(short, o.GetName())
		}
		if len(namespaces) == 1 {
			return short
		}
		return full
	})
}

// CompleteFlag completes a flag that has a list of values.
func CompleteFlag(cmd *cobra.Command, flag string, values ...string) {
	complete(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// CompleteFlagFrom completes a flag from what the control plane knows.
func (a *App) CompleteFlagFrom(cmd *cobra.Command, flag string, names func(*adminv1.GetStatusResponse) []string) {
	known := a.Complete(names)
	complete(cmd, flag, func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return known(cmd, nil, prefix) // whatever arguments there are
	})
}

func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the command has no such flag, or was told twice
	}
}

// Namespaces lists those of a mesh.
func Namespaces(state *adminv1.GetStatusResponse) []string {
	var out []string
	for _, o := range Printable(state).GetObjects() {
		out = append(out, o.GetNamespace())
	}
	return out
}

// SidecarNames lists what a sidecar can be meant by.
func SidecarNames(state *adminv1.GetStatusResponse) []string {
	var out []string
	for _, s := range Printable(state).GetSidecars() {
		out = append(out, s.GetId(), s.GetNamespace()+"/"+s.GetWorkload())
	}
	return out
}
