package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/internal/process"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// findBroker takes the first broker it finds, or starts one. none is true when only the
// in-process broker is left.
func (d *demo) findBroker(ctx context.Context) (none bool, err error) {
	if d.options.embedded {
		return true, nil
	}
	search := d.options.broker
	search.Report = func(line string) { d.screen.say("%s", line) }
	broker, err := localbroker.Start(ctx, search)
	if errors.Is(err, localbroker.ErrNone) {
		d.screen.say("broker: none: %v", err)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	d.broker = broker
	return false, nil
}

// declareBroker writes the broker that was found, or the in-process broker, into the
// configuration.
func (d *demo) declareBroker() error {
	if d.broker == nil {
		memory, err := os.ReadFile(d.files.Source("memory", shop.BrokerFile))
		if err != nil {
			return err
		}
		return shop.ReplaceFile(d.files.Config(shop.BrokerFile), memory)
	}
	found, err := shop.ParseAMQP(d.broker.URL)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(d.files.Source("config", shop.BrokerFile))
	if err != nil {
		return err
	}
	declared, err := shop.SetBroker(string(text), found.Address, found.VHost)
	if err != nil {
		return err
	}
	return errors.Join(
		shop.ReplaceFile(d.files.Config(shop.BrokerFile), []byte(declared)),
		d.files.WriteCredentials(found.Username, found.Password),
	)
}

// declarePush writes the port that billing listens on into the configuration.
func (d *demo) declarePush() error {
	_, port, err := net.SplitHostPort(d.addresses.push)
	if err != nil {
		return fmt.Errorf("read billing's address: %w", err)
	}
	text, err := os.ReadFile(d.files.Config(shop.PushFile))
	if err != nil {
		return err
	}
	declared, err := shop.SetPushPort(string(text), port)
	if err != nil {
		return err
	}
	return shop.ReplaceFile(d.files.Config(shop.PushFile), []byte(declared))
}

// oldestNode is the oldest major version of Node that runs shipping.
const oldestNode = 18

// patience is how long a step may take before a progress line is printed.
const patience = 5 * time.Second

// build compiles all programs. Go's cache makes it quick when nothing has changed.
func (d *demo) build(ctx context.Context) error {
	args := append([]string{"build", "-o", d.files.Bin("") + "/", "-ldflags=-s -w"}, d.options.flags...)
	return d.patiently("build: compiling", func() error {
		unlock, err := d.files.LockBins()
		if err != nil {
			return err
		}
		defer unlock()
		return d.tools.Run(ctx, process.Spec{
			Name: "go build", Path: "go", Dir: d.files.Root, Log: d.files.Log("build"),
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
		return "Node is not installed"
	}
	out, err := exec.CommandContext(ctx, node, "--version").Output() //nolint:gosec // the node of PATH
	if err != nil {
		return "`node --version` failed"
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		return "Node " + version + " is older than " + strconv.Itoa(oldestNode)
	}
	if d.modulesCurrent() {
		return ""
	}
	err = d.patiently("shipping: npm fetches its two libraries", func() error {
		return d.tools.Run(ctx, process.Spec{
			Name: "npm ci", Path: "npm", Dir: d.files.Source("shipping"), Log: d.files.Log("npm"),
			Args: []string{"ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"},
		})
	})
	var failure *process.Failure
	switch {
	case errors.As(err, &failure):
		return "`npm ci` failed, see " + d.files.Rel(failure.Log)
	case err != nil:
		return "npm cannot be started: " + err.Error()
	}
	return ""
}

// modulesCurrent reports whether npm installed the versions of the lock file.
func (d *demo) modulesCurrent() bool {
	lock, err := os.Stat(d.files.Source("shipping", "package-lock.json"))
	if err != nil {
		return false
	}
	installed, err := os.Stat(filepath.Join(d.files.Source("shipping", "node_modules"), ".package-lock.json"))
	return err == nil && !installed.ModTime().Before(lock.ModTime())
}
