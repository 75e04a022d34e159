package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyTheWallClockOfTheChangedProgramJumps(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program with another package time; not with -short")
	}
	dir := t.TempDir()
	flag, err := overlay(dir)
	if err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, "main.go")
	const program = `package main

import "time"

func main() {
	began := time.Now()
	jumped := false
	for tick := time.NewTicker(10 * time.Millisecond); !jumped && time.Since(began) < time.Minute; {
		<-tick.C
		jumped = time.Now().Unix()-began.Unix() > 3500
	}
	println(jumped, time.Since(began) < time.Minute)
}
`
	if err := os.WriteFile(main, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", "-overlay="+flag, main)
	run.Env = append(os.Environ(), clockVariable+"=1:3600")
	out, err := run.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "true true" {
		t.Errorf("the program says %q, %v; want that the wall clock jumped and the monotonic one did not", got, err)
	}
}
