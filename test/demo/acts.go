package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// Topics of the canary, as the sidecar names them.
const (
	stableTopic = "shop/orders"
	canaryTopic = "shop/orders-next"
)

// drive starts checkout and plays the acts while orders are placed. The shop stays open
// until the last act has ended and all orders are placed.
func (d *demo) drive(ctx context.Context) error {
	if err := shop.ReplaceFile(d.files.OpenMark(), nil); err != nil {
		return err
	}
	if _, err := d.apps.Start(d.checkout(d.runID, d.files.Journal("checkout"), d.options.orders, d.options.rate)); err != nil {
		return err
	}
	d.screen.say("checkout: it places at least %d orders, %v a second, through one publish stream", d.options.orders, d.options.rate)
	third := d.options.orders / 3
	if err := d.await(ctx, "the first third of the orders", func() (bool, error) { return d.watch.Confirmed() >= third, nil }); err != nil {
		return err
	}
	if err := d.editCanary(ctx); err != nil {
		return err
	}
	if err := d.editBroken(ctx); err != nil {
		return err
	}
	if err := os.Remove(d.files.OpenMark()); err != nil {
		return err
	}
	return d.await(ctx, "the rest of the orders", func() (bool, error) { return d.watch.Done() && d.books.Balanced(), nil })
}

// editCanary changes the weights from 100:0 to 50:50 and shows the resulting split.
func (d *demo) editCanary(ctx context.Context) error {
	text, err := os.ReadFile(d.files.Route())
	if err != nil {
		return err
	}
	half, err := shop.SetWeights(string(text), 50, 50)
	if err != nil {
		return err
	}
	before, err := d.meshStatus(ctx)
	if err != nil {
		return err
	}
	d.edited = time.Now()
	if err := shop.ReplaceFile(d.files.Route(), []byte(half)); err != nil {
		return err
	}
	err = d.await(ctx, "the edited route on every sidecar", func() (bool, error) {
		status, err := d.meshStatus(ctx)
		return err == nil && status.GetVersion() != before.GetVersion() && programmed(status, "EventRoute", "orders-canary"), err
	})
	if err != nil {
		return err
	}
	d.inForce = time.Now()
	d.screen.say("\nedit 1: %s: canary 0 %% → 50 %%; every sidecar acknowledged it %d ms after the file was renamed",
		d.files.Rel(d.files.Route()), d.inForce.Sub(d.edited).Milliseconds())
	enough := max(d.options.orders/6, 1)
	return d.await(ctx, "orders after the edit", func() (bool, error) { return d.watch.ConfirmedSince(d.inForce) >= enough, nil })
}

// programmed reports whether an object is in force on all sidecars that use it.
func programmed(status *adminv1.GetStatusResponse, kind, name string) bool {
	for _, o := range status.GetObjects() {
		if o.GetKind() != kind || o.GetName() != name {
			continue
		}
		for _, c := range o.GetConditions() {
			if c.GetType() == "Programmed" {
				return c.GetStatus() == "True" && o.GetPending() == 0
			}
		}
	}
	return false
}

// editBroken names a topic that does not exist, shows the refusal while orders continue
// as before, and restores the file.
func (d *demo) editBroken(ctx context.Context) error {
	d.showSplit()
	good, err := os.ReadFile(d.files.Route())
	if err != nil {
		return err
	}
	broken, line, err := shop.Misspell(string(good))
	if err != nil {
		return err
	}
	before, err := d.meshStatus(ctx)
	if err != nil {
		return err
	}
	if err := shop.ReplaceFile(d.files.Route(), []byte(broken)); err != nil {
		return err
	}
	var refused *adminv1.GetStatusResponse
	err = d.await(ctx, "the control plane to reject the broken edit", func() (bool, error) {
		refused, err = d.meshStatus(ctx)
		return len(refused.GetProblems()) > 0, err
	})
	if err != nil {
		return err
	}
	d.screen.say("\nedit 2: %s, line %d: backend %q is not a topic. The control plane rejects the file:", d.files.Rel(d.files.Route()), line, shop.Misspelled)
	for _, p := range refused.GetProblems() {
		d.screen.say("  %s:%d: %s: %s", p.GetFile(), p.GetLine(), p.GetField(), p.GetMessage())
	}
	if err := checkRefusal(refused, before.GetVersion(), line); err != nil {
		return err
	}
	since := time.Now()
	few := max(d.options.orders/20, 1)
	err = d.await(ctx, "orders while the file is broken", func() (bool, error) { return d.watch.ConfirmedSince(since) >= few, nil })
	if err != nil {
		return err
	}
	d.screen.say("  the previous configuration stays active: %d more orders were confirmed meanwhile", d.watch.ConfirmedSince(since))
	return d.restore(ctx, good)
}

// checkRefusal returns an error when a broken edit was not refused as it should be.
func checkRefusal(status *adminv1.GetStatusResponse, version string, line int) error {
	if status.GetVersion() != version {
		return fmt.Errorf("the broken edit changed the active configuration from %q to %q", version, status.GetVersion())
	}
	for _, p := range status.GetProblems() {
		if strings.HasSuffix(p.GetFile(), shop.RouteFile) && int(p.GetLine()) == line && p.GetField() != "" {
			return nil
		}
	}
	return fmt.Errorf("the control plane rejected the broken edit without naming %s, line %d and the field", shop.RouteFile, line)
}

func (d *demo) restore(ctx context.Context, good []byte) error {
	if err := shop.ReplaceFile(d.files.Route(), good); err != nil {
		return err
	}
	err := d.await(ctx, "the control plane to accept the restored file", func() (bool, error) {
		status, err := d.meshStatus(ctx)
		return err == nil && len(status.GetProblems()) == 0, err
	})
	if err == nil {
		d.screen.say("  the demo restores the file, and the control plane accepts it")
	}
	return err
}

// showSplit prints where orders went before and after the edit.
func (d *demo) showSplit() {
	s := shop.SplitAt(d.watch.Records["checkout"], d.edited, d.inForce)
	d.screen.say("  %-24s %12s %18s", "orders confirmed", stableTopic, canaryTopic)
	d.screen.say("  %-24s %12d %18d", "before the edit", s.Before[stableTopic], s.Before[canaryTopic])
	d.screen.say("  %-24s %12d %18d   (%.0f %%)", "since it is active", s.After[stableTopic], s.After[canaryTopic], 100*shop.Share(s.After, canaryTopic))
}

// checkSplit returns an error when the canary got an order before the edit, or when its
// share afterwards cannot be explained by chance.
func checkSplit(s shop.Split) error {
	if n := s.Before[canaryTopic]; n > 0 {
		return fmt.Errorf("%d orders went to %s while its weight was 0", n, canaryTopic)
	}
	n := s.After[stableTopic] + s.After[canaryTopic]
	if n == 0 {
		return fmt.Errorf("no order was confirmed after the edit was active")
	}
	// Five standard deviations of a fair coin, and the orders in flight during the
	// change.
	allowed := 2.5/math.Sqrt(float64(n)) + 0.05
	if got := shop.Share(s.After, canaryTopic); math.Abs(got-0.5) > allowed {
		return fmt.Errorf("%.0f %% of %d orders went to %s after the edit, want 50 %%", 100*got, n, canaryTopic)
	}
	return nil
}
