// Package controlplane is the composition root of the control plane: a directory
// of declared objects goes in, xDS resources and the state of the mesh come out.
//
//	directory of YAML files
//	   |
//	source/file --Batch--> declare --Set--> resolve --mesh--> compile --View--> xds/server
//	   |                     |                |                 |                 |  ^
//	   +------problems-------+----problems----+-----problems----+         resources  | ACKs,
//	                         |                                  |                 |  | NACKs
//	                         v refused                 in force v                 v  |
//	                       status <-----------------------------+               sidecars
//	                         |  ^ ^                                                 | |
//	                         |  | +--------------- what each has accepted ----------+ |
//	                         |  +- report <------- how brokers and traffic are -------+
//	                         |       +-----------> Traffic, Series -> MeshService
//	                         +-> Snapshot -> MeshService, metrics
//	                         +-> Writer (a log; Kubernetes later)
//
// The rooms, in the order in which a change passes them:
//
//   - source/file reads files, decodes them strictly and knows the lines of fields;
//     another source would stand beside it.
//   - declare applies defaults, validates, finds duplicates and knows what must not
//     change: once, for every source.
//   - resolve follows references and makes the mesh's configuration.
//   - compile, here, encodes it for sidecars and refuses what they would.
//   - status knows what is in force and how far the sidecars have come.
//   - report keeps what sidecars tell about brokers and traffic. It tells status what
//     could not be declared and which brokers work.
//
// Nothing points up, and nothing below this package imports it. declare, resolve,
// status and report know no source.
//
// It owns the order of these steps and the three listeners (xDS, admin, status). It
// does not own the steps themselves, nor flags, signals and exporters, which belong
// to cmd.
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
