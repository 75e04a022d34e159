// Package skew tests a mesh whose control plane and sidecars have different versions,
// as during every upgrade.
//
// It owns the recordings in testdata, one directory for each version. A recording holds
// what a version knew: the descriptors of api/xds/v1, the table of the fields that its
// sidecar implemented, a configuration, and the resources that its control plane made
// from it, byte for byte. Recordings never change. Each released version is recorded
// once:
//
//	go test -C test ./skew -run TestUpgradeSkew -record v0.1
package skew
