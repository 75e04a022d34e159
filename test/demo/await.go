package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/warrenmesh/warren/examples/shop/account"
)

// pollEvery is how often the journals are read.
const pollEvery = 200 * time.Millisecond

// await polls the journals and shows the progress until done returns true. It gives up
// when no journal has grown for options.stall.
func (d *demo) await(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	moved := time.Now()
	for {
		grew, err := d.watch.Poll()
		if err != nil {
			return err
		}
		if grew {
			moved = time.Now()
			d.books = d.settle()
			if d.books.Published > 0 {
				d.screen.show(progress(d.books, d.options.orders))
			}
		}
		ok, err := done()
		if ok {
			return nil
		}
		if time.Since(moved) > d.options.stall {
			return errors.Join(fmt.Errorf("wait for %s: no journal has grown for %v; see the logs in %s", what, d.options.stall, d.files.Rel(d.files.Demo("logs"))), err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (d *demo) allSubscribed() bool {
	for _, s := range d.services {
		for _, subscription := range s.Subscriptions {
			if !d.watch.Subscribed(s.Name, subscription) {
				return false
			}
		}
	}
	return true
}

// progress is the status line. More orders may be placed than were asked for while the
// shop is open.
func progress(books account.Books, orders int) string {
	var b strings.Builder
	for i, row := range books.Rows {
		if i == 0 {
			fmt.Fprintf(&b, "orders %d/%d, confirmed %d, received by", row.Published, max(orders, row.Published), row.Confirmed)
			continue
		}
		fmt.Fprintf(&b, " %s %d", row.Service, row.Received)
	}
	return b.String()
}
