package faults

import "slices"

// BrokerRoom returns the scenarios of this package.
func BrokerRoom() []Scenario {
	return slices.Concat(brokerRows, clusterRows, networkRows, alarmRows, topologyRows, policyRows)
}
