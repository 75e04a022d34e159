package client

import (
	"maps"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// split cuts a request into requests of about most bytes at the most, to be sent in
// this order. Names are few as a rule and the request itself is returned.
//
// Versions are understood in the first request of a type only (xDS, "initial resource
// versions"), so those of names that stand in a later one are left out: the server
// sends these resources whole. Versions of what no name asks for come first, whatever
// their number: without them the server could not tell that such a resource, a
// subscription, is gone; they are as many as one workload has subscriptions.
func split(r *discoveryv3.DeltaDiscoveryRequest, most int) []*discoveryv3.DeltaDiscoveryRequest {
	if sizeOf(r) <= most {
		return []*discoveryv3.DeltaDiscoveryRequest{r}
	}
	first := part(r)
	parts := []*discoveryv3.DeltaDiscoveryRequest{first}
	first.InitialResourceVersions = maps.Clone(r.GetInitialResourceVersions())
	for _, name := range r.GetResourceNamesSubscribe() {
		delete(first.InitialResourceVersions, name)
	}
	size, last := sizeOf(first), first
	// next makes room for so many bytes more. A part has at least one name: a first
	// request without any would ask for everything.
	next := func(cost int) {
		if size+cost > most && len(last.GetResourceNamesSubscribe())+len(last.GetResourceNamesUnsubscribe()) > 0 {
			last, size = part(r), 0
			parts = append(parts, last)
		}
		size += cost
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		version, known := r.GetInitialResourceVersions()[name]
		cost := nameCost(name)
		if known {
			cost += versionCost(name, version)
		}
		next(cost)
		last.ResourceNamesSubscribe = append(last.ResourceNamesSubscribe, name)
		if known && last == first {
			first.InitialResourceVersions[name] = version
		}
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		next(nameCost(name))
		last.ResourceNamesUnsubscribe = append(last.ResourceNamesUnsubscribe, name)
	}
	return parts
}

func part(r *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl()}
}

// framing is more than the tags and lengths around a name have bytes.
const framing = 8

func nameCost(name string) int { return len(name) + framing }

func versionCost(name, version string) int { return len(name) + len(version) + 2*framing }

// sizeOf is about the size of a request without its node.
func sizeOf(r *discoveryv3.DeltaDiscoveryRequest) int {
	size := len(r.GetTypeUrl()) + framing
	for _, name := range r.GetResourceNamesSubscribe() {
		size += nameCost(name)
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		size += nameCost(name)
	}
	for name, version := range r.GetInitialResourceVersions() {
		size += versionCost(name, version)
	}
	return size
}
