// Package status knows what is in force on the mesh: the set that is served, the one
// that was refused, and how far the sidecars have come with each object.
package status
