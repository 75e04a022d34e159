// Package controlplane is the composition root of the control plane: a directory
// of declared objects goes in, xDS resources and the state of the mesh come out.
//
//	source/file -> resolve -> mesh -> wire -> server -> sidecars
//	     |            |                 |        |
//	     +- problems -+-----------------+        +- ACKs -> status -> MeshService
//
// It owns the order of these steps, what is in force, the conditions of objects
// and the three listeners (xDS, admin, status). It does not own the steps
// themselves, nor flags, signals and exporters, which belong to cmd.
//
// A set comes into force whole or not at all. One with problems leaves the last
// good one in force; its problems are logged once and stay visible in
// MeshService.GetStatus until a good set follows.
//
// All methods of ControlPlane are safe for concurrent use.
//
//	cp, err := controlplane.New(controlplane.Options{Dir: "config", Logger: logger})
//	go func() { done <- cp.Run(ctx) }()
//	<-cp.Ready()
//	fmt.Println(cp.XDSAddr())
package controlplane
