package process

import "syscall"

// ownGroup puts a program into a group of its own and ends it when this process
// is killed without a chance to.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
