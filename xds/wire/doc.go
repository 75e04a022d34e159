// Package wire translates between the mesh configuration and Envoy's resources,
// in both directions.
//
// It owns the mapping of fields, the content versions and every check that can be
// made on one resource alone; it does not own what refers to what (the control
// plane resolves, the client assembles), nor any transport. Encoding decodes its
// own result before handing it out, so the control plane refuses exactly what a
// sidecar would NACK.
//
// Decoding is honest: a field that is set, changes behaviour and is not
// implemented is an error that names its path. What is implemented is one table,
// kept readable in message/testdata/supported.txt.
//
// The package is the door to its rooms; nobody else imports them:
//
//	wire ──▶ listener, route, cluster ──▶ filter ──▶ message ──▶ field
//
// listener, route and cluster have a resource each and do not know each other. An arrow
// may skip rooms. wire puts together what they encode, in a Resource with its version, and
// gives what they decode its type. Of Warren it imports mesh and xds besides.
//
// Stock clients: gRPC's own ACKs a topic, its routes, a broker and its endpoints as
// they are encoded here (with grpc-go 1.85.0), with two limits. It does not read a
// matcher tree, so a topic with nested filters has no routes for it; and it NACKs
// num_retries 0, which stands for one attempt with a timeout of its own.
// Subscriptions are Warren's alone.
//
// All functions are pure and safe for concurrent use; the values they return are
// immutable by convention.
//
//	resources, err := wire.EncodeTopic(topic)     // control plane
//	d, err := wire.Decode(typeURL, resource.Any)  // sidecar
//	switch d := d.(type) {
//	case *wire.Routes:
//		needs = append(needs, d.Clusters()...)
//	}
package wire
