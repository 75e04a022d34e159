package docs

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// command is one command of a sh or console block.
type command struct {
	line   string // may have several lines
	output string // as the page shows it
}

// commands splits a block into commands. In a console block "$ " begins a command. In
// both kinds a command continues until the shell calls it complete.
func (b *block) commands(ctx context.Context) ([]command, error) {
	var all []command
	unfinished := ""
	for line := range strings.Lines(b.text) {
		text, prompt := strings.CutPrefix(line, "$ ")
		switch {
		case unfinished != "":
			unfinished += line
		case b.lang == "console" && !prompt && len(all) == 0:
			return nil, fmt.Errorf("a console block begins with %q, want a command after \"$ \"", line)
		case b.lang == "console" && !prompt:
			all[len(all)-1].output += line
			continue
		case strings.TrimSpace(line) == "" || b.lang == "sh" && strings.HasPrefix(line, "#"):
			continue
		default:
			unfinished = text
		}
		if complete(ctx, unfinished) {
			all = append(all, command{line: strings.TrimSpace(unfinished)})
			unfinished = ""
		}
	}
	if unfinished != "" {
		return nil, fmt.Errorf("the command %q does not end", unfinished)
	}
	return all, nil
}

// complete reports whether the shell would not ask for more input.
func complete(ctx context.Context, script string) bool {
	if strings.HasSuffix(strings.TrimRight(script, "\n"), `\`) {
		return false
	}
	return exec.CommandContext(ctx, "bash", "-n", "-c", script).Run() == nil
}
