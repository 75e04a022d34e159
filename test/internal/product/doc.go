// Package product runs the built product for tests: the control plane and sidecars are
// processes of their own, as for a user.
//
// It owns building the programs, their addresses, files, lifetimes and logs. It does
// not start a broker and does not publish or receive: tests use the sidecars as
// services do.
//
// A program that still runs when its test ends gets SIGTERM and must exit with 0. A
// data race or panic in its log fails the test. When a test fails, the logs are shown.
// A test must not use the package concurrently, except where a method says so.
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
