package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventPolicy tunes brokers and topics.
//
// +warren:unsupported
type EventPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventPolicySpec `json:"spec"`
	Status Status          `json:"status,omitempty"`
}

// EventPolicySpec holds settings for its targets.
type EventPolicySpec struct {
	// TargetRefs are the brokers and topics.
	TargetRefs []LocalRef `json:"targetRefs,omitempty"`
	// LoadBalancer chooses among the nodes of a broker.
	LoadBalancer map[string]any `json:"loadBalancer,omitempty"`
	// CircuitBreaker bounds the number of events in flight.
	CircuitBreaker map[string]any `json:"circuitBreaker,omitempty"`
	// OutlierDetection stops using nodes that fail.
	OutlierDetection map[string]any `json:"outlierDetection,omitempty"`
	// Access says who may publish and receive.
	Access map[string]any `json:"access,omitempty"`
}
