package install

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
)

// enterScript runs a command in the root of another system. Its arguments are the
// root, the directory that shall be in it under its own path, and the command.
//
// Everything is mounted in a mount namespace of its own, which ends with its last
// process: the machine never sees a mount below the root, so that nothing is left to
// unmount, and who removes the root removes no device or file of the machine with it.
const enterScript = `
set -e
root=$1 keep=$2
shift 2
new=$root/mnt
mount -t tmpfs -o mode=755 warren "$new"
for path in "$root"/bin "$root"/sbin "$root"/lib*; do
	cp -P "$path" "$new/"
done
for name in etc usr; do
	mkdir "$new/$name"
	mount --bind "$root/$name" "$new/$name"
done
mkdir -m 1777 "$new/tmp"
mkdir "$new/proc" "$new/dev"
mount --rbind /proc "$new/proc"
for name in null zero full random urandom; do
	: >"$new/dev/$name"
	mount --bind "/dev/$name" "$new/dev/$name"
done
ln -s /proc/self/fd "$new/dev/fd"
mkdir -p "$new$keep"
mount --bind "$keep" "$new$keep"
exec chroot "$new" /bin/sh -c 'cd "$0" && exec "$@"' "$keep" "$@"
`

// Inside wraps a command so that it runs in the root of the RabbitMQ, where it sees dir
// under its own path. Processes have the same ids in and outside.
func (in RabbitMQ) Inside(dir string, args ...string) []string {
	if in.Root == "" {
		return args
	}
	enter := []string{"unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", enterScript, "warren-enter", in.Root, dir}
	return append(enter, args...)
}

// Command is a short command that needs only what is in the root.
func (in RabbitMQ) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	if in.Root != "" {
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: in.Root}
	}
	return cmd
}

// Environment changes the caller's for the root, which has neither the caller's programs
// nor its locales and directories.
func (in RabbitMQ) Environment(env []string) []string {
	if in.Root == "" {
		return env
	}
	var kept []string
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "LC_") && name != "LANG" && name != "TMPDIR" && name != "PATH" {
			kept = append(kept, v)
		}
	}
	return append(kept, "LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}
