//go:build !linux

package product

import "syscall"

// diesWithUs cannot be had here: a test process that is killed leaves its programs.
func diesWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
