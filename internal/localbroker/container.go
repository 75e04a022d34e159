package localbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker/install"
)

// image is what a container runs when any RabbitMQ will do.
const image = "rabbitmq:4.1.4-alpine"

// imageOf is what a container runs.
func imageOf(w Want) string {
	if w.Version == "" {
		return image
	}
	return "rabbitmq:" + w.Version + "-alpine"
}

// container is a RabbitMQ in a container of its own.
type container struct {
	// Set at construction.
	options *Options
	docker  string
	name    string
	port    int

	// Guarded by mu.
	mu    sync.Mutex
	made  bool
	ended chan struct{} // closed when the container has ended
}

// container starts one, where a Docker daemon answers.
func (o *Options) container(ctx context.Context) (*Broker, error) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return nil, fmt.Errorf("%w: there is no docker command", install.ErrNotHere)
	}
	answer, cancel := context.WithTimeout(ctx, 2*probeTimeout)
	defer cancel()
	if _, err := install.Output(answer, docker, "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, fmt.Errorf("%w: no Docker daemon answers: %w", install.ErrNotHere, err)
	}
	free, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	c := &container{options: o, docker: docker, name: "warren-" + strings.ToLower(rand.Text()[:12]), port: free[0]}
	o.report("broker: starting a container of %s on port %d", imageOf(o.Want), c.port)
	how := fmt.Sprintf("a container of %s, on port %d", imageOf(o.Want), c.port)
	return launch(ctx, o, localURL(c.address()), how, c)
}

func (c *container) address() string { return "127.0.0.1:" + strconv.Itoa(c.port) }

// start implements server.
func (c *container) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*c.options.BootTimeout) // the image may have to be pulled
	defer cancel()
	c.mu.Lock()
	made := c.made
	c.made = true
	c.mu.Unlock()
	args := []string{"start", c.name}
	if !made {
		args = []string{"run", "--detach", "--name", c.name, "--hostname", c.name, "--publish", c.address() + ":5672", imageOf(c.options.Want)}
	}
	if _, err := install.Output(ctx, c.docker, args...); err != nil {
		return fmt.Errorf("start container: %w", err)
	}
	ended := make(chan struct{})
	go func() { // ends with the container, which stop removes
		defer close(ended)
		_, _ = install.Output(context.WithoutCancel(ctx), c.docker, "wait", c.name)
	}()
	c.mu.Lock()
	c.ended = ended
	c.mu.Unlock()
	return c.awaitBoot(ctx, ended)
}

func (c *container) awaitBoot(ctx context.Context, ended <-chan struct{}) error {
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the container to boot: %w", ctx.Err())
		case <-ended:
			return errors.New("the container ended while it booted")
		case <-poll.C:
			if _, err := Probe(ctx, localURL(c.address())); err == nil {
				return nil
			}
		}
	}
}

// exited implements server.
func (c *container) exited() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// kill implements server.
func (c *container) kill(ctx context.Context) error {
	_, err := install.Output(ctx, c.docker, "kill", c.name)
	return err
}

// stop implements server.
func (c *container) stop(ctx context.Context) error {
	_, err := install.Output(ctx, c.docker, "rm", "--force", "--volumes", c.name)
	if ended := c.exited(); ended != nil && err == nil {
		<-ended
	}
	return err
}
