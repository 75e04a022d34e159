package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/publisher"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// publishResult is a finished warren publish.
type publishResult struct {
	topic, address string
	flags          *publishFlags
	report         publisher.Report
	stopped        error // why the input was not read to its end
}

// publishOutput is the result for scripts (-o json).
type publishOutput struct {
	Topic        string              `json:"topic"`
	DryRun       bool                `json:"dryRun,omitempty"`
	Read         int64               `json:"read"`
	Confirmed    int64               `json:"confirmed"`
	Failed       int64               `json:"failed"`
	Retries      int64               `json:"retries"`
	Seconds      float64             `json:"seconds"`
	Stopped      string              `json:"stopped,omitempty"`
	Destinations []destinationOutput `json:"destinations"`
	Problems     []publishProblem    `json:"problems"`
}

type destinationOutput struct {
	Topic string `json:"topic"`
	Route string `json:"route,omitempty"`
	Count int64  `json:"count"`
}

type publishProblem struct {
	Code     string           `json:"code,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Outcome  string           `json:"outcome,omitempty"`
	Count    int64            `json:"count"`
	Examples []publishExample `json:"examples"`
}

type publishExample struct {
	Line    int    `json:"line,omitempty"`
	ID      string `json:"id,omitempty"`
	Message string `json:"message"`
}

// reportPublish says what became of the events and whether that is a success.
func reportPublish(a *cli.App, r publishResult) error {
	printProblems(a, r)
	if r.stopped != nil && !errors.Is(r.stopped, publisher.ErrNobody) {
		text := r.stopped.Error()
		if errors.Is(r.stopped, context.Canceled) {
			text = "interrupted: the rest of the input was not read"
		}
		a.Errorf("%s", a.ErrStyle().Red(text))
	}
	a.Sayf("%s", terminal.PrintableLines(r.summary()))
	if r.flags.output != cli.Text {
		if err := cli.WriteValue(a.Out, r.flags.output, r.output()); err != nil {
			return err
		}
	}
	if r.stopped != nil || r.report.Failed > 0 {
		return cli.ErrReported
	}
	return nil
}

func printProblems(a *cli.App, r publishResult) {
	style := a.ErrStyle()
	hinted := map[string]bool{}
	for _, p := range r.report.Problems {
		a.Errorf("%s", style.Red(fmt.Sprintf("%s not %s: %s", cli.Events(p.Count), missed(p), p.Title())))
		for _, e := range p.Examples {
			a.Notef("  %s", terminal.Printable(place(e)+e.Message))
		}
		if more := p.Count - int64(len(p.Examples)); more > 0 {
			a.Notef("  and %s more", terminal.Thousands(more))
		}
		if text := p.OutcomeText(); text != "" {
			a.Notef("  %s", text)
		}
		if hint := p.Hint("sidecar", r.address); !hinted[hint] {
			hinted[hint] = true
			a.Hint(hint)
		}
	}
}

func (r publishResult) summary() string {
	report := r.report
	if r.flags.dryRun {
		return fmt.Sprintf("dry run: %s of %s valid, nothing was published",
			terminal.Thousands(report.Confirmed), cli.Events(report.Read))
	}
	if report.Read == 1 && report.Confirmed == 1 {
		return fmt.Sprintf("published %s to %s in %s", report.Last.GetEventId(),
			destination(report.Last.GetTopic(), report.Last.GetRoute()), report.Elapsed.Round(time.Millisecond))
	}
	text := fmt.Sprintf("published %s of %s to %s in %s, %s/s",
		terminal.Thousands(report.Confirmed), cli.Events(report.Read), r.topic,
		report.Elapsed.Round(10*time.Millisecond), terminal.Thousands(terminal.Rate(report.Confirmed, report.Elapsed)))
	if report.Retries > 0 {
		text += fmt.Sprintf(", %s repeated", terminal.Thousands(report.Retries))
	}
	if len(report.Destinations) > 1 {
		for _, d := range report.Destinations {
			text += fmt.Sprintf("\n  %8s  %s", terminal.Thousands(d.Count), destination(d.Topic, d.Route))
		}
	}
	return text
}

func (r publishResult) output() publishOutput {
	report := r.report
	out := publishOutput{
		Topic: r.topic, DryRun: r.flags.dryRun, Read: report.Read, Confirmed: report.Confirmed, Failed: report.Failed,
		Retries: report.Retries, Seconds: report.Elapsed.Seconds(),
		Destinations: []destinationOutput{}, Problems: []publishProblem{},
	}
	if r.stopped != nil {
		out.Stopped = r.stopped.Error()
	}
	for _, d := range report.Destinations {
		out.Destinations = append(out.Destinations, destinationOutput(d))
	}
	for _, p := range report.Problems {
		problem := publishProblem{Code: p.Code, Reason: p.Reason, Outcome: p.Outcome, Count: p.Count}
		for _, e := range p.Examples {
			problem.Examples = append(problem.Examples, publishExample(e))
		}
		out.Problems = append(out.Problems, problem)
	}
	return out
}

// missed says what an event with a problem is not.
func missed(p publisher.Problem) string {
	if p.Reason == publisher.InvalidInput {
		return "valid"
	}
	return "confirmed"
}

// place says where an example stands: "line 3, id x: ".
func place(e publisher.Example) string {
	var parts []string
	if e.Line > 0 {
		parts = append(parts, fmt.Sprintf("line %d", e.Line))
	}
	if e.ID != "" {
		parts = append(parts, "id "+e.ID)
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + ": "
}

func destination(topic, route string) string {
	if route == "" {
		return topic
	}
	return topic + " by route " + route
}
