package controlplane

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/report"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/xds/server"
)

// meshService implements warren.admin.v1.MeshService.
type meshService struct {
	adminv1.UnimplementedMeshServiceServer

	observe func() status.Snapshot
	reports *report.Store // nil when none are taken
	now     func() time.Time
	version string
}

// GetStatus implements adminv1.MeshServiceServer.
func (m *meshService) GetStatus(_ context.Context, req *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	s := m.observe()
	shown := func(namespace string) bool { return req.GetNamespace() == "" || req.GetNamespace() == namespace }
	out := &adminv1.GetStatusResponse{Version: s.Version, ControlPlaneVersion: m.version}
	if !s.LoadedAt.IsZero() {
		out.LoadedAt = timestamppb.New(s.LoadedAt)
	}
	// Problems are not filtered: one namespace's keeps out what another declares.
	for _, p := range s.Problems {
		out.Problems = append(out.Problems, problemProto(p))
	}
	for _, o := range s.Objects {
		if shown(o.Name.Namespace) {
			out.Objects = append(out.Objects, objectProto(o))
		}
	}
	for i := range s.Sidecars {
		if shown(s.Sidecars[i].Node.Namespace) {
			out.Sidecars = append(out.Sidecars, m.sidecarProto(&s.Sidecars[i], s.Versions))
		}
	}
	if m.reports != nil {
		out.Traffic = m.reports.Traffic(req.GetNamespace())
	}
	return out, nil
}

// GetSeries implements adminv1.MeshServiceServer.
func (m *meshService) GetSeries(_ context.Context, req *adminv1.GetSeriesRequest) (*adminv1.GetSeriesResponse, error) {
	if m.reports == nil {
		return nil, grpcstatus.Error(codes.NotFound, "the control plane takes no reports")
	}
	if out := m.reports.Series(req); out != nil {
		return out, nil
	}
	return nil, grpcstatus.Error(codes.NotFound, "nothing was reported of it in the last hour")
}

func problemProto(p declare.Problem) *adminv1.Problem {
	out := &adminv1.Problem{File: p.File, Line: uint32(max(0, p.Line)), Field: p.Field, Message: p.Message}
	if p.Object != (v1alpha1.ObjectName{}) {
		out.Object = p.Object.String()
	}
	return out
}

func objectProto(o status.Object) *adminv1.Object {
	out := &adminv1.Object{
		Kind: o.Name.Kind, Namespace: o.Name.Namespace, Name: o.Name.Name,
		Acked: o.Progress.Acked, Pending: o.Progress.Pending, Rejected: o.Progress.Rejected, LastError: o.Progress.LastError,
	}
	for _, c := range o.Conditions {
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
		ConnectedFor: durationpb.New(m.now().Sub(s.ConnectedAt)), State: status.SidecarState(s, versions), Peer: s.Peer,
		Listen: s.Node.Listen, Admin: s.Node.Admin,
	}
	for _, r := range s.Resources {
		out.Resources = append(out.Resources, &adminv1.SidecarResource{
			TypeUrl: r.TypeURL, Name: r.Name, Version: versions[resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}],
			AckedVersion: r.Acked, State: r.State.String(), Error: r.Error, SentVersion: r.Version, Since: timestamppb.New(r.Since),
		})
	}
	if m.reports != nil {
		m.reports.Sidecar(s.Stream, out)
	}
	return out
}
