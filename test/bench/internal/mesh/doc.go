// Package mesh runs the product as its users do, control plane and sidecars as
// processes of their own, configured by files, and publishes and receives through
// it by the generated gRPC client.
//
// A Mesh is one control plane with two sidecars: one beside the publisher, one
// beside the subscriber. Metrics are on; 1 % of the traces are sampled and go to a
// receiver in this process that discards them. It is a load.Target; Close ends the
// processes and deletes what they declared.
//
//	m, err := mesh.Start(ctx, mesh.Options{Sidecar: "bin/sidecar", ControlPlane: "bin/controlplane", ...})
//	defer m.Close()
package mesh
