package product

import "syscall"

// diesWithUs ends a program with the test process, should that be killed.
func diesWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
