package terminal

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Count is how far a job is.
type Count struct {
	Done   int64
	Failed int64
	// Part is the fraction done, 0 to 1; negative when the end is not known.
	Part float64
}

// Progress shows how far a job is: a bar that redraws its line on a terminal, a
// plain line every few seconds elsewhere.
type Progress struct {
	Out   io.Writer
	Width int    // columns; 0 means no terminal
	Noun  string // what is counted, "events"
	Style Style
	Count func() Count
}

// Intervals between two drawings.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
)

// Run draws until ctx ends, then removes the bar. A job shorter than one interval
// shows nothing.
func (p *Progress) Run(ctx context.Context) {
	interval := lineInterval
	if p.Width > 0 {
		interval = barInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	start, drawn := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			if drawn && p.Width > 0 {
				fmt.Fprint(p.Out, "\r\x1b[K")
			}
			return
		case now := <-ticker.C:
			drawn = true
			p.draw(now.Sub(start))
		}
	}
}

func (p *Progress) draw(elapsed time.Duration) {
	c := p.Count()
	if p.Width == 0 {
		fmt.Fprintln(p.Out, p.text(c, elapsed, ""))
		return
	}
	// One column stays free: a full line makes some terminals wrap.
	room := p.Width - 1 - len(p.text(c, elapsed, "")) - len("[] ")
	line := p.text(c, elapsed, p.Style.Red(failed(c)))
	if c.Part >= 0 && room >= 10 {
		line = bar(c.Part, min(room, 30)) + line
	}
	fmt.Fprint(p.Out, "\r\x1b[K", line)
}

// text is the line without the bar; mark is the failures in colour, "" for plain.
func (p *Progress) text(c Count, elapsed time.Duration, mark string) string {
	var b strings.Builder
	if c.Part >= 0 {
		fmt.Fprintf(&b, "%3d%%  ", int(100*min(c.Part, 1)))
	}
	fmt.Fprintf(&b, "%s %s  %s/s", Thousands(c.Done), p.Noun, Thousands(Rate(c.Done, elapsed)))
	if c.Failed > 0 {
		if mark == "" {
			mark = failed(c)
		}
		b.WriteString("  " + mark)
	}
	return b.String()
}

func failed(c Count) string {
	if c.Failed == 0 {
		return ""
	}
	return Thousands(c.Failed) + " failed"
}

func bar(part float64, width int) string {
	full := min(int(part*float64(width)), width)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "] "
}

// Rate is n per second; an elapsed time under a millisecond counts as one.
func Rate(n int64, elapsed time.Duration) int64 {
	return int64(float64(n) / max(elapsed, time.Millisecond).Seconds())
}

// Thousands writes n with a comma between groups of three digits.
func Thousands(n int64) string {
	if n < 0 {
		return "-" + Thousands(-n)
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
