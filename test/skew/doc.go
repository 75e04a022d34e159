// Package skew tests a mesh whose control plane and sidecars are of different
// versions, as every upgrade makes it.
//
// It owns the recordings in testdata, one directory a version, and nothing else. A
// recording is what a version knew: the descriptors of api/xds/v1, the table of the
// fields its sidecar implemented, a configuration, and the resources its control
// plane made of it, byte for byte. They are never changed. A version that is
// released is recorded once:
//
//	go test -C test ./skew -run TestUpgradeSkew -record v0.1
package skew
