// Package broker holds the rows whose fault is in RabbitMQ or on the way to it.
//
//   - node.go, cluster.go: a node, or some of three, is killed, stopped or frozen
//   - alarm.go: RabbitMQ blocks its publishers
//   - topology.go: its objects or credentials are not what the sidecars expect
//   - policy.go: a policy takes messages out of queues
//   - network.go: the connections are slow, cut or dead
//
// It imports the rig, not another room of rows.
package broker

import (
	"slices"

	"github.com/warrenmesh/warren/test/faults/rig"
)

// Rows returns the rows of this package.
func Rows() []rig.Scenario {
	return slices.Concat(brokerRows, clusterRows, networkRows, alarmRows, topologyRows, policyRows)
}
