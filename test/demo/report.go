package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/tabwriter"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/examples/shop/account"
	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// settle compares the journals as of the last poll.
func (d *demo) settle() account.Books {
	return account.Settle(account.Shop(d.shipping), d.runID+"-", d.watch.Records)
}

// finalBooks reads all journals again, from the beginning.
func (d *demo) finalBooks() (account.Books, error) {
	journals := make(map[string][]journal.Record)
	for _, s := range d.services {
		records, err := journal.Read(d.files.Journal(s.Name))
		if err != nil {
			return account.Books{}, err
		}
		journals[s.Name] = records
	}
	return account.Settle(account.Shop(d.shipping), d.runID+"-", journals), nil
}

// report prints the results of the run.
func (d *demo) report(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.screen.settle(progress(d.books, d.options.orders))
	var split error
	if !d.inForce.IsZero() {
		d.screen.say("\nwhere the orders of the whole run went:")
		d.showSplit()
		split = checkSplit(shop.SplitAt(d.watch.Records["checkout"], d.edited, d.inForce))
	}
	table := d.showTable(d.books)
	d.screen.say("\none order, every hop:")
	return errors.Join(split, table, d.showTrace(ctx), d.showStatus(ctx))
}

// conclude reads the journals again and prints the last line.
func (d *demo) conclude() error {
	books, err := d.finalBooks()
	if err != nil {
		return err
	}
	return d.sayBooks(books)
}

func (d *demo) sayBooks(books account.Books) error {
	var faults []error
	for _, f := range books.Faults {
		faults = append(faults, errors.New(f.String()))
	}
	d.screen.say("\ndemo: %s", books.Summary())
	if !books.Balanced() && len(faults) == 0 {
		faults = append(faults, errors.New("nothing was published"))
	}
	return errors.Join(faults...)
}

// keepOpen opens the shop again, so that there is something to see: a few orders a second,
// in a journal of their own.
func (d *demo) keepOpen() error {
	if err := shop.ReplaceFile(d.files.OpenMark(), nil); err != nil {
		return err
	}
	spec := d.checkout(d.runID+"-kept", d.files.Journal("checkout-kept"), 0, keptRate)
	_, err := d.apps.Start(spec)
	return err
}

// keptRate is how many orders a second are placed while everything is kept up.
const keptRate = 5

// stay keeps everything running until Ctrl-C, which then ends the run without an error.
func (d *demo) stay(ctx context.Context) error {
	err := errors.Join(d.conclude(), d.keepOpen())
	d.showNext()
	<-ctx.Done()
	if reason := context.Cause(ctx); !errors.Is(reason, errInterrupted) {
		return errors.Join(err, reason)
	}
	return err
}

// writeTable prints a row for each service.
func writeTable(w io.Writer, books account.Books) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "service\tpublished\tconfirmed\trepeated\treceived\tredelivered\tduplicates\tmissing\t")
	for _, r := range books.Rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			r.Service, r.Published, r.Confirmed, r.Repeated, r.Received, r.Redelivered, r.Duplicates, r.Missing)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range books.Rows {
		if r.Leftovers > 0 {
			fmt.Fprintf(w, "%s also received %d events that an earlier run left in the broker\n", r.Service, r.Leftovers)
		}
	}
	return nil
}

// showTable prints the table and the faults of the books.
func (d *demo) showTable(books account.Books) error {
	d.screen.say("\nper service, from the journals in %s (received: distinct events; repeated: published by more than one call, same id)",
		d.files.Rel(d.files.Demo("journals")))
	return d.screen.write(func(w io.Writer) error { return writeTable(w, books) })
}

// showStatus waits until every sidecar has acknowledged everything, and runs `warren
// status` as a user would.
func (d *demo) showStatus(ctx context.Context) error {
	err := d.await(ctx, "every sidecar to be in sync", func() (bool, error) {
		status, err := d.meshStatus(ctx)
		return err == nil && inSync(status, len(d.services)), err
	})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, d.files.Bin("warren"), "status", "--control-plane", d.addresses.admin) //nolint:gosec // built by the demo
	cmd.Env = d.environment("warren")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("run warren status: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	d.screen.say("\n$ warren status --control-plane %s", d.addresses.admin)
	d.screen.say("%s", strings.TrimRight(string(out), "\n"))
	return nil
}

// inSync reports whether the expected number of sidecars is connected and all of them
// run the declared configuration.
func inSync(status *adminv1.GetStatusResponse, sidecars int) bool {
	for _, s := range status.GetSidecars() {
		if s.GetState() != "SYNCED" {
			return false
		}
	}
	return len(status.GetSidecars()) == sidecars
}

// showNext prints commands to try while everything is running.
func (d *demo) showNext() {
	rel := func(path string) string { return d.files.Rel(path) }
	checkout, audit := d.addresses.sidecars["checkout"], d.addresses.sidecars["audit"]
	warren := rel(d.files.Bin("warren"))
	d.screen.say("\nKEEP=1: everything runs until Ctrl-C, with %d orders a second. Commands to try from %s:", keptRate, d.files.Root)
	for _, line := range []string{
		fmt.Sprintf("%s status --control-plane %s", warren, d.addresses.admin),
		fmt.Sprintf(`%s publish orders --sidecar %s --type com.shop.order.placed --source /me --data '{"cents":100}'`, warren, checkout.events),
		fmt.Sprintf("%s subscribe audit-invoices --sidecar %s   # shares them with the audit service", warren, audit.events),
		fmt.Sprintf("grpcurl -plaintext %s list", checkout.events),
		fmt.Sprintf(`grpcurl -plaintext -d '{"topic":"orders","event":{"id":"mine-1","source":"/me","spec_version":"1.0","type":"com.shop.order.placed","binary_data":"e30="}}' %s warren.events.v1.EventService/Publish`, checkout.events),
		fmt.Sprintf("tail -f %s", rel(d.files.Journal("audit"))),
		fmt.Sprintf("edit %s and watch the sidecars follow", rel(d.files.Route())),
	} {
		d.screen.say("  %s", line)
	}
	if d.traces.jaeger != nil {
		d.screen.say("  open %s", d.traces.jaeger.URL)
	}
}
