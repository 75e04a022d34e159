// Package cluster encodes and decodes a broker: the Cluster (cluster.go) with what is
// AMQP's (options.go), and the ClusterLoadAssignment with its nodes (endpoints.go).
//
// Of Warren it imports mesh, xds, the messages in api/xds/v1, and the rooms field and
// message. All functions are pure.
package cluster
