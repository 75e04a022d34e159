// Package field encodes and decodes the fields that more than one of Warren's resources
// has: durations, exchanges, partitions, the source of what a resource refers to. It
// checks names of AMQP and of attributes, and [Path] is how every decoder says where in a
// resource something is wrong.
//
// Of Warren it imports mesh and the messages in api/xds/v1, and no other room of
// xds/wire. All functions are pure.
package field
