package join_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/warrenmesh/warren/internal/join"
)

func TestWaitEndsWithTheLastOrWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g join.Group
		if err := g.Wait(t.Context()); err != nil {
			t.Errorf("with nobody: %v", err)
		}
		one, two := make(chan struct{}), make(chan struct{})
		g.Go(func() { <-one })
		g.Go(func() { <-two })
		ctx, cancel := context.WithCancel(t.Context())
		early, late := make(chan error, 1), make(chan error, 2)
		go func() { early <- g.Wait(ctx) }()
		for range 2 {
			go func() { late <- g.Wait(t.Context()) }()
		}
		close(one)
		synctest.Wait()
		if len(early)+len(late) != 0 {
			t.Error("a Wait ended while one runs")
		}
		cancel()
		if err := <-early; !errors.Is(err, context.Canceled) {
			t.Errorf("the end of its context: %v", err)
		}
		close(two)
		for range 2 {
			if err := <-late; err != nil {
				t.Errorf("the end of the last: %v", err)
			}
		}
		if err := g.Wait(ctx); err != nil {
			t.Errorf("with nobody again, though its context has ended: %v", err)
		}
		g.Add()
		if err := g.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("used again: %v", err)
		}
		g.Done()
	})
}

func TestDoneWithoutAddPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("it did not")
		}
	}()
	var g join.Group
	g.Done()
}

func ExampleGroup() {
	var g join.Group
	g.Go(func() { fmt.Println("at work") })
	fmt.Println(g.Wait(context.Background()))
	// Output:
	// at work
	// <nil>
}
