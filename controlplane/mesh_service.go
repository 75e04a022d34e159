package controlplane

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/xds/server"
)

// States of a sidecar over all its resources, as istioctl's proxy-status names
// them.
const (
	sidecarSynced  = "SYNCED"
	sidecarNotSent = "NOT_SENT" // nothing was sent to it
	sidecarStale   = "STALE"    // an answer is due
	sidecarNack    = "NACK"     // it refused something
)

// meshService implements warren.admin.v1.MeshService.
type meshService struct {
	adminv1.UnimplementedMeshServiceServer

	observe func() snapshot
	now     func() time.Time
	version string
}

// GetStatus implements adminv1.MeshServiceServer.
func (m *meshService) GetStatus(_ context.Context, req *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	s := m.observe()
	shown := func(namespace string) bool { return req.GetNamespace() == "" || req.GetNamespace() == namespace }
	out := &adminv1.GetStatusResponse{Version: s.version, ControlPlaneVersion: m.version}
	if !s.loadedAt.IsZero() {
		out.LoadedAt = timestamppb.New(s.loadedAt)
	}
	// Problems are not filtered: one namespace's keeps out what another declares.
	for _, p := range s.problems {
		out.Problems = append(out.Problems, problemProto(p))
	}
	for _, o := range s.objects {
		if shown(o.name.Namespace) {
			out.Objects = append(out.Objects, objectProto(o))
		}
	}
	for i := range s.sidecars {
		if shown(s.sidecars[i].Node.Namespace) {
			out.Sidecars = append(out.Sidecars, m.sidecarProto(&s.sidecars[i], s.versions))
		}
	}
	return out, nil
}

func problemProto(p declare.Problem) *adminv1.Problem {
	out := &adminv1.Problem{File: p.File, Line: uint32(max(0, p.Line)), Field: p.Field, Message: p.Message}
	if p.Object != (v1alpha1.ObjectName{}) {
		out.Object = p.Object.String()
	}
	return out
}

func objectProto(o objectStatus) *adminv1.Object {
	out := &adminv1.Object{
		Kind: o.name.Kind, Namespace: o.name.Namespace, Name: o.name.Name,
		Acked: o.progress.acked, Pending: o.progress.pending, Rejected: o.progress.rejected, LastError: o.progress.lastError,
	}
	for _, c := range o.conditions {
		out.Conditions = append(out.Conditions, &adminv1.Condition{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message,
			LastTransitionTime: timestamppb.New(c.LastTransitionTime.Time),
		})
	}
	return out
}

func (m *meshService) sidecarProto(s *server.Sidecar, versions map[resolve.ResourceKey]string) *adminv1.Sidecar {
	out := &adminv1.Sidecar{
		Id: s.Node.ID, Namespace: s.Node.Namespace, Workload: s.Node.Workload, Labels: s.Node.Labels, Version: s.Node.Version,
		ConnectedFor: durationpb.New(m.now().Sub(s.ConnectedAt)), State: sidecarState(s, versions), Peer: s.Peer,
	}
	for _, r := range s.Resources {
		out.Resources = append(out.Resources, &adminv1.SidecarResource{
			TypeUrl: r.TypeURL, Name: r.Name, Version: versions[resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}],
			AckedVersion: r.Acked, State: r.State.String(), Error: r.Error, SentVersion: r.Version, Since: timestamppb.New(r.Since),
		})
	}
	return out
}

func sidecarState(s *server.Sidecar, versions map[resolve.ResourceKey]string) string {
	if len(s.Resources) == 0 {
		return sidecarNotSent
	}
	state := sidecarSynced
	for _, r := range s.Resources {
		// Neither exists for the sidecar nor here: that is in sync. A name that is
		// gone here and not yet there differs.
		version := versions[resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}]
		switch {
		case r.State == server.Nacked:
			return sidecarNack
		case r.State == server.Sent || r.Version != version:
			state = sidecarStale
		}
	}
	return state
}
