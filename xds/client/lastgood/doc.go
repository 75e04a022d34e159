// Package lastgood keeps the last good configuration in a file, so that a sidecar can
// start while the control plane is away: what is in the file (content.go), the file itself,
// which is replaced as a whole and checked when it is read (file.go), and its writer, which
// a slow disk may hold up without holding up the configuration (saver.go).
//
// It does not know what resources mean and imports nothing of Warren. A Saver has one
// goroutine, Run's; package client owns it.
package lastgood
