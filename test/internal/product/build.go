package product

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// stripped leaves out debugger data: linking then takes two thirds of the time.
const stripped = "-ldflags=-s -w"

// Programs are the built binaries.
type Programs struct {
	root string // of the repository
	dir  string // of the binaries
	// other has the paths of binaries that stand in for those in dir, by name.
	other map[string]string
}

// Build builds the three commands and further packages with the race detector: go test
// -race has filled the build cache with their packages. The binaries stay in the
// repository's .run, one set for all test packages. The first caller links them; the
// others wait and find them current.
func Build(ctx context.Context, packages ...string) (Programs, error) {
	return build(ctx, "test", append([]string{"-race"}, packages...))
}

// BuildLean builds as Build does, without the race detector, for measurements.
func BuildLean(ctx context.Context, packages ...string) (Programs, error) {
	return build(ctx, "lean", packages)
}

func build(ctx context.Context, name string, more []string) (Programs, error) {
	root, err := findRoot()
	if err != nil {
		return Programs{}, err
	}
	p := Programs{root: root, dir: filepath.Join(root, ".run", name)}
	if err := os.MkdirAll(p.dir, 0o750); err != nil {
		return Programs{}, fmt.Errorf("build programs: %w", err)
	}
	lock := flock.New(p.dir + ".lock") // the lock ends with this process at the latest
	if err := lock.Lock(); err != nil {
		return Programs{}, fmt.Errorf("wait for other builds: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	args := []string{"-buildvcs=false", stripped, "-o", p.dir + string(filepath.Separator)}
	ours, flags := []string(nil), []string(nil) // packages of module test, and flags for all builds
	theirs := []string{"./cmd/sidecar", "./cmd/controlplane", "./cmd/warren"}
	for _, m := range more {
		if inside, ok := strings.CutPrefix(m, "./test/"); ok {
			ours = append(ours, "./"+inside)
		} else if strings.HasPrefix(m, "-") {
			flags = append(flags, m)
		} else {
			theirs = append(theirs, m)
		}
	}
	args = append(args, flags...)
	if err := goBuild(ctx, root, append(args, theirs...)); err != nil {
		return Programs{}, err
	}
	if len(ours) == 0 {
		return p, nil
	}
	return p, goBuild(ctx, filepath.Join(root, "test"), append(args, ours...))
}

// goBuild builds with the go.mod of the module in dir, without the workspace.
func goBuild(ctx context.Context, dir string, args []string) error {
	build := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build programs: %w\n%s", err, out)
	}
	return nil
}

// OtherSidecar returns programs whose sidecar is built with more flags, into
// .run/<name> of the repository.
func (p Programs) OtherSidecar(ctx context.Context, name string, flags ...string) (Programs, error) {
	path := filepath.Join(p.root, ".run", name, "sidecar")
	args := append([]string{"-buildvcs=false", stripped, "-o", path}, flags...)
	return p.instead("sidecar", path), goBuild(ctx, p.root, append(args, "./cmd/sidecar"))
}

// Others returns the programs with those of another version that the environment names:
// WARREN_SIDECAR and WARREN_CONTROLPLANE are paths of built binaries. It shows how
// versions get on with each other, see hack/skew.sh.
func (p Programs) Others(getenv func(string) string) Programs {
	for name, variable := range map[string]string{"sidecar": "WARREN_SIDECAR", "controlplane": "WARREN_CONTROLPLANE"} {
		if path := getenv(variable); path != "" {
			p = p.instead(name, path)
		}
	}
	return p
}

func (p Programs) instead(name, path string) Programs {
	p.other = maps.Clone(p.other)
	if p.other == nil {
		p.other = map[string]string{}
	}
	p.other[name] = path
	return p
}

// Path returns the path of a binary. Its name is the name of its package's directory.
func (p Programs) Path(name string) string {
	if path, ok := p.other[name]; ok {
		return path
	}
	return filepath.Join(p.dir, name)
}

// Root returns the repository's root.
func (p Programs) Root() string { return p.root }

// findRoot walks up from the working directory until it finds the commands: go test
// runs a test in its package's directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "sidecar")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: no cmd/sidecar in any folder above")
		}
		dir = parent
	}
}
