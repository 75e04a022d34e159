// Package mesh runs Warren as its users do: control plane and sidecars are processes of
// their own, configured by files. It publishes and receives through them with the
// generated gRPC client.
//
// A Mesh is one control plane with two sidecars: one beside the publisher, one beside
// the subscriber. Metrics are on; 1 % of the traces are sampled and sent to a receiver
// in this process, which discards them. A Mesh is a load.Target; Close ends the
// processes and deletes what they declared.
//
//	m, err := mesh.Start(ctx, mesh.Options{Sidecar: "bin/sidecar", ControlPlane: "bin/controlplane", ...})
//	defer m.Close()
package mesh
