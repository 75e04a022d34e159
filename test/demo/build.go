package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/process"
)

// oldestNode is the oldest major version of Node that runs shipping.
const oldestNode = 18

// patience is how long a step may take before a progress line is printed.
const patience = 5 * time.Second

// build compiles all programs. Go's cache makes it quick when nothing has changed.
func (d *demo) build(ctx context.Context) error {
	args := append([]string{"build", "-o", d.files.bin("") + "/", "-ldflags=-s -w"}, d.options.flags...)
	return d.patiently("build: compiling", func() error {
		unlock, err := d.files.lockBins()
		if err != nil {
			return err
		}
		defer unlock()
		return d.tools.Run(ctx, process.Spec{
			Name: "go build", Path: "go", Dir: d.files.root, Log: d.files.log("build"),
			Args: append(args, "./cmd/sidecar", "./cmd/controlplane", "./cmd/warren",
				"./examples/shop/checkout", "./examples/shop/billing", "./examples/shop/audit"),
		})
	})
}

// patiently runs do and prints a progress line now and then.
func (d *demo) patiently(what string, do func() error) error {
	done := make(chan error, 1)
	var doing sync.WaitGroup
	defer doing.Wait()
	doing.Go(func() { done <- do() })
	begin := time.Now()
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			d.screen.say("%s, %.0f s so far", what, time.Since(begin).Seconds())
		}
	}
}

// prepareNode installs shipping's two libraries, once. It returns the reason when
// shipping must be left out.
func (d *demo) prepareNode(ctx context.Context) (leftOut string) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "there is no Node here"
	}
	out, err := exec.CommandContext(ctx, node, "--version").Output() //nolint:gosec // the node of PATH
	if err != nil {
		return "node --version does not run"
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		return "Node " + version + " is too old"
	}
	if d.modulesCurrent() {
		return ""
	}
	err = d.patiently("shipping: npm fetches its two libraries", func() error {
		return d.tools.Run(ctx, process.Spec{
			Name: "npm ci", Path: "npm", Dir: d.files.shop("shipping"), Log: d.files.log("npm"),
			Args: []string{"ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"},
		})
	})
	var failure *process.Failure
	switch {
	case errors.As(err, &failure):
		return "npm ci did not work, see " + d.files.rel(failure.Log)
	case err != nil:
		return "npm does not run: " + err.Error()
	}
	return ""
}

// modulesCurrent reports whether npm installed the versions of the lock file.
func (d *demo) modulesCurrent() bool {
	lock, err := os.Stat(d.files.shop("shipping", "package-lock.json"))
	if err != nil {
		return false
	}
	installed, err := os.Stat(filepath.Join(d.files.shop("shipping", "node_modules"), ".package-lock.json"))
	return err == nil && !installed.ModTime().Before(lock.ModTime())
}
