package docs

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
)

// grpcurl finds the grpcurl that `make grpcurl` installs, or one on PATH.
func grpcurl() (string, error) {
	found, err := filepath.Glob(filepath.Join(root, ".tools/grpcurl-v*"))
	if err == nil && len(found) > 0 {
		slices.Sort(found)
		return filepath.Abs(found[len(found)-1])
	}
	path, err := exec.LookPath("grpcurl")
	if err != nil {
		return "", errors.New("no grpcurl: `make grpcurl` installs it")
	}
	return path, nil
}
