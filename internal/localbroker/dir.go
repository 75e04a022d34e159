package localbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// maxDirs is how many directories are tried while others use them.
const maxDirs = 9

// errInUse says that another process holds a directory.
var errInUse = errors.New("another process uses it")

// claim makes and locks dir, or the first of dir-2 to dir-9 that is free. It removes
// what an earlier node left there, processes included. The lock lasts until unlock or
// the end of this process.
func claim(dir string) (claimed string, unlock func(), err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("find directory of the private node: %w", err)
	}
	for i := 1; i <= maxDirs; i++ {
		claimed = dir
		if i > 1 {
			claimed = fmt.Sprintf("%s-%d", dir, i)
		}
		unlock, err = lock(claimed)
		if err == nil {
			break
		}
		if !errors.Is(err, errInUse) {
			return "", nil, err
		}
	}
	if err != nil {
		return "", nil, err
	}
	if err := clean(claimed); err != nil {
		unlock()
		return "", nil, err
	}
	return claimed, unlock, nil
}

func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make directory of the private node: %w", err)
	}
	held := flock.New(filepath.Join(dir, "lock"))
	switch mine, err := held.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock directory of the private node: %w", err)
	case !mine:
		return nil, fmt.Errorf("lock %s: %w", dir, errInUse)
	}
	// Closing alone is not enough: a child that this process is just starting may have
	// inherited the lock.
	return func() { _ = held.Unlock() }, nil
}

// clean ends what is left of an earlier node in dir and removes its files, and
// nothing else. Its processes normally died with their starter.
func clean(dir string) error {
	if b, err := os.ReadFile(filepath.Join(dir, "token")); err == nil {
		token, epmd, _ := strings.Cut(string(b), "\n")
		killLeftover(filepath.Join(dir, "node.pid"), token)
		killLeftover(filepath.Join(dir, "epmd.pid"), epmd)
	}
	for _, name := range []string{"home", "mnesia", "log", "node.pid", "epmd.pid", "token", "output.log"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("clean directory of the private node: %w", err)
		}
	}
	return nil
}

// killLeftover kills the process of a pid file if its command line has mark.
func killLeftover(pidFile, mark string) {
	if pid, err := readPID(pidFile); err == nil && isOurs(pid, mark) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func readPID(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read pid file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("read pid file %s: it says %q", path, b)
	}
	return pid, nil
}

// Private nodes listen between these ports: free for users, and below the
// ephemeral range of every system.
const (
	firstPort = 20000
	ports     = 10000
)

// freePorts returns n different ports that are free on loopback now.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var free []int
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for range 1000 {
		if len(free) == n {
			return free, nil
		}
		var random [2]byte
		_, _ = rand.Read(random[:]) // never fails
		port := firstPort + (int(random[0])<<8|int(random[1]))%ports
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			held = append(held, l)
			free = append(free, port)
		}
	}
	return nil, errors.New("find free ports: 1000 tries in vain")
}
