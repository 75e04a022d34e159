// Package proc reads the CPU time of processes and of the whole machine, and finds the
// process that listens on a port, from Linux's /proc.
//
// It has no state; all functions are safe for concurrent use.
//
//	broker, err := proc.Listener(5672)
//	before, err := proc.CPU(broker)
package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of /proc: USER_HZ is 100 on every architecture Go runs on.
const tick = 10 * time.Millisecond

// maxPID is the largest id a process can have, PID_MAX_LIMIT.
const maxPID = 1 << 22

// ErrNotFound says that no process of this machine that this user can see listens on a
// port.
var ErrNotFound = errors.New("no process of this machine listens there")

// CPU returns the CPU time of all threads of a process, ended threads included, without
// its children. Its resolution is that of the process's CPU clock, nanoseconds, or 10 ms
// where the kernel refuses to read the clock of another process.
func CPU(pid int) (time.Duration, error) {
	if pid <= 0 || pid > maxPID {
		return 0, fmt.Errorf("read CPU time: no process has the id %d", pid)
	}
	// clock_getcpuclockid(3): the id's complement, and the clock that counts all threads.
	const scheduled = 2
	var used unix.Timespec
	if unix.ClockGettime(^int32(pid)<<3|scheduled, &used) == nil {
		return time.Duration(used.Nano()), nil
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return parseStat(string(text))
}

// parseStat reads utime and stime, fields 14 and 15. The second field is the command in
// parentheses, which may contain parentheses and blanks itself.
func parseStat(text string) (time.Duration, error) {
	end := strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time: stat is %q", text)
	}
	return sumTicks(fields[11:13])
}

// Self returns the CPU time this process has used.
func Self() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read own CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// RSS returns the resident memory of a process in bytes.
func RSS(pid int) (int64, error) {
	resident, _, err := Memory(pid)
	return resident, err
}

// Memory returns the resident memory of a process in bytes, and how much of it is anonymous:
// not pages of files, such as the program's own, which processes share.
func Memory(pid int) (resident, anonymous int64, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, 0, fmt.Errorf("read memory: %w", err)
	}
	resident, shared, err := parseStatm(string(text))
	return resident * int64(os.Getpagesize()), (resident - shared) * int64(os.Getpagesize()), err
}

// parseStatm reads the second and the third field, in pages.
func parseStatm(text string) (resident, shared int64, err error) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return 0, 0, fmt.Errorf("read memory: statm is %q", text)
	}
	resident, err = strconv.ParseInt(fields[1], 10, 64)
	if err == nil {
		shared, err = strconv.ParseInt(fields[2], 10, 64)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read memory: %w", err)
	}
	return resident, shared, nil
}

// EmptyCall returns what a system call costs that does nothing. Machines differ by a
// factor of ten, and with them the worth of saving one.
func EmptyCall() time.Duration {
	const calls, attempts = 1000, 100 // short, so that most are not interrupted
	best := time.Duration(1<<63 - 1)
	for range attempts {
		began := time.Now()
		for range calls {
			_, _, _ = syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
		}
		best = min(best, time.Since(began)/calls)
	}
	return best
}

// Machine returns the CPU time of all processes, together with the time stolen from
// this machine. It leaves out interrupts: some kernels do not count them in the
// processes, and on others they are negligible.
func Machine() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read the machine's CPU time: %w", err)
	}
	return parseMachine(string(text))
}

// parseMachine reads user, nice, system and steal from the first line, whose columns
// are user nice system idle iowait irq softirq steal guest guest_nice. User and nice
// contain the guests already.
func parseMachine(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("read the machine's CPU time: stat begins with %q", line)
	}
	return sumTicks([]string{fields[1], fields[2], fields[3], fields[8]})
}

func sumTicks(fields []string) (time.Duration, error) {
	var sum time.Duration
	for _, field := range fields {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
