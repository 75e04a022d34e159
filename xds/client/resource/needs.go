package resource

// Wildcard subscribes to whatever the control plane has for this node.
const Wildcard = "*"

// Needs are the names to be subscribed to, by type URL.
type Needs map[string]map[string]struct{}

// Add adds a name. Its type must be there.
func (n Needs) Add(typeURL, name string) { n[typeURL][name] = struct{}{} }

// Has reports whether a name is needed.
func (n Needs) Has(typeURL, name string) bool {
	_, ok := n[typeURL][name]
	return ok
}
