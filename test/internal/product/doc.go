// Package product runs the built product for tests: the control plane and sidecars
// as processes of their own, as a user runs them.
//
// It owns building the programs, their addresses, files, life and logs. It does not
// start a broker and knows nothing of events: tests speak to the sidecars as
// services do. A program that is still running when its test ends is told to stop
// and must exit with 0; a data race or panic in its log fails the test; the logs are
// shown when a test fails. Not for concurrent use within one test, except where a
// method says so.
//
//	programs, err := product.Build(ctx)
//	...
//	mesh := product.NewMesh(t, programs, broker)
//	mesh.Write("shop.yaml", mesh.Broker.YAML("shop")+topics)
//	mesh.StartControlPlane()
//	checkout := mesh.StartSidecar(product.Sidecar{Namespace: "shop", Workload: "checkout"})
//	checkout.AwaitReady()
//	client := eventsv1.NewEventServiceClient(checkout.Dial(checkout.TCP))
package product
