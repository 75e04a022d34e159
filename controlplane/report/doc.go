// Package report keeps what sidecars tell about brokers and traffic.
//
//	sidecar: counters that metrics keep, states of nodes, declarations that failed
//	   |  one ReportRequest every 5 s, beside xDS on the same connection
//	   v
//	Service  -- who speaks is the node of the connection's xDS stream
//	   v
//	Store    -- reporters:  the last counters of each process
//	   |        series:     an hour of each topic, subscription and edge
//	   |        nodes, undeclared objects: what all sidecars see together
//	   |        measurers:  one sidecar for each broker, told in the ReportResponse
//	   +--> Findings --> status: Programmed and Healthy
//	   +--> Traffic, Series --> MeshService
//
// It owns the stream's protocol on this side, the bounds of what sidecars can make the
// control plane keep, and the choice of the sidecar that measures the queues of a broker.
// It owns no condition: package status does.
//
// # Counters
//
// A sidecar sends counters that count from the start of its process, and only those that
// have changed. The store adds to its series what is new since the last report of the
// process. So a lost report loses nothing: the next one has the sum. A report that comes
// twice, or late, has a number that was seen, and adds nothing. After a number that is
// missing the sidecar is asked for everything, because what did not change since would
// not come again.
//
// # Bounds
//
// Reports come from peers that are authenticated no more than those of xDS. Names count
// only if they are declared; a publisher's name is free text and bounded. Limits says how
// much is kept; what is beyond it is counted in ReportLosses.
//
// All methods are safe for concurrent use.
//
//	store := report.New(report.Options{})
//	store.Configure(mesh)           // with each configuration in force
//	store.Service().Register(server) // beside xds/server on one gRPC server
//	traffic := store.Traffic("")
package report
