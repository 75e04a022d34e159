//go:build !linux

package product

import "syscall"

// diesWithUs does nothing on this system: a killed test process leaves its programs
// running.
func diesWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
