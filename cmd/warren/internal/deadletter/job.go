package deadletter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// letterJob is a redrive or a purge.
type letterJob struct {
	output      string
	dryRun      bool
	op          string // "purge dead letters of billing"
	done, would string // what became of a letter; what would have
}

func (j *letterJob) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&j.dryRun, "dry-run", false, "change nothing, only count")
	cmd.Flags().StringVarP(&j.output, "output", "o", cli.Text, "`format` of the result: text, json or yaml")
	cli.CompleteFlag(cmd, "output", cli.Text, cli.JSON, cli.YAML)
}

// starter begins a job's call and returns how to read its reports, of which the
// last is the result.
type starter func(*cli.Admin) (next func() (*adminv1.DeadLetterReport, error), err error)

// work does a job, shows how far it is, and says how it ended.
func work(a *cli.App, cmd *cobra.Command, j *letterJob, start starter) error {
	if err := cli.OneOf("output", j.output, cli.Text, cli.JSON, cli.YAML); err != nil {
		return err
	}
	begin := time.Now()
	report, err := follow(a, cmd, j, start)
	if report != nil {
		a.Sayf("%s", terminal.Printable(j.summary(report, time.Since(begin))))
		remarkOn(a, report)
		if j.output != cli.Text {
			if err := cli.WriteMessage(a.Out, j.output, report); err != nil {
				return err
			}
		}
	}
	switch {
	case cmd.Context().Err() != nil:
		a.Errorf("%s", a.ErrStyle().Red("interrupted: what was not "+j.done+" stays, in its place"))
		return cli.ErrReported
	case err != nil:
		return err
	case report.GetFailed() > 0:
		a.Errorf("%s", a.ErrStyle().Red(fmt.Sprintf("%d could not be %s and stay", report.GetFailed(), j.done)))
		a.Notef("  %s", terminal.Printable(report.GetFailure()))
		return cli.ErrReported
	}
	return nil
}

func (j *letterJob) summary(r *adminv1.DeadLetterReport, took time.Duration) string {
	of := fmt.Sprintf("%s of %s", terminal.Thousands(int64(r.GetDone())), letters(r.GetTotal(), r.GetQueue())) //nolint:gosec // a queue is not that long
	if j.dryRun {
		return fmt.Sprintf("dry run: %s %s", of, j.would)
	}
	return fmt.Sprintf("%s %s in %s", of, j.done, took.Round(time.Millisecond))
}

// follow reads a job's reports to the last and returns that, nil when there was
// none.
func follow(a *cli.App, cmd *cobra.Command, j *letterJob, start starter) (*adminv1.DeadLetterReport, error) {
	s, err := a.DialAdmin(cmd)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var last atomic.Pointer[adminv1.DeadLetterReport]
	stop := a.ShowProgress(cmd.Context(), "letters "+j.done, func() terminal.Count { return countOf(last.Load()) })
	next, err := start(s)
	for err == nil {
		var r *adminv1.DeadLetterReport
		if r, err = next(); err == nil {
			last.Store(r)
		}
	}
	stop()
	if errors.Is(err, io.EOF) {
		return last.Load(), nil
	}
	reached := last.Load() != nil
	return last.Load(), &cli.CallError{Failure: peer.Explain(err, reached), Op: j.op, What: "sidecar's admin listener", Address: s.Address}
}

//nolint:gosec // counts of letters are small
func countOf(r *adminv1.DeadLetterReport) terminal.Count {
	if r.GetTotal() == 0 {
		return terminal.Count{Part: -1}
	}
	return terminal.Count{Done: int64(r.GetDone()), Failed: int64(r.GetFailed()), Part: float64(r.GetRead()) / float64(r.GetTotal())}
}

// errNotConfirmed says that nobody agreed.
var errNotConfirmed = cli.Usagef("this permanently deletes dead letters: use --dry-run to count them, then --yes")

// confirm counts what a job would do and asks whether to do it. It returns false
// when there is nothing to do.
func confirm(a *cli.App, cmd *cobra.Command, j *letterJob, dryRun starter) (bool, error) {
	if !a.Interactive {
		return false, errNotConfirmed
	}
	counted := &letterJob{dryRun: true, op: j.op, done: "counted", would: j.would}
	report, err := follow(a, cmd, counted, dryRun)
	if err != nil {
		return false, err
	}
	would := terminal.Printable(strings.TrimPrefix(counted.summary(report, 0), "dry run: "))
	if report.GetDone() == 0 {
		a.Sayf("%s", would)
		return false, nil
	}
	fmt.Fprintf(a.Err, "%s for good. Go on? [y/N] ", would)
	if answer := answer(cmd.Context(), a); answer != "y" && answer != "yes" {
		a.Errorf("nothing was %s", j.done)
		return false, cli.ErrReported
	}
	return true, nil
}

// answer reads one line in lower case; Ctrl-C, and the end of the input, are none.
func answer(ctx context.Context, a *cli.App) string {
	line := make(chan string, 1)
	go func() { // ends with the process at the latest: a read of a terminal cannot be called off
		text, _ := bufio.NewReader(a.In).ReadString('\n')
		line <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case text := <-line:
		return text
	case <-ctx.Done():
		return ""
	}
}
