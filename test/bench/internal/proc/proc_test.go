package proc

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

func TestAProcesssTimeIsUserAndSystemWhateverItsNameHolds(t *testing.T) {
	t.Parallel()
	const rest = " S 1 2 3 4 -1 4194304 97 0 0 0 150 25 900 900 20 0 1 0 126396 3133440 413"
	for _, name := range []string{"(beam.smp)", "(a b)", "(x) 9 (y)"} {
		if got, err := parseStat("42 " + name + rest); err != nil || got != 1750*time.Millisecond {
			t.Errorf("%s: %v, %v; want 1.75 s", name, got, err)
		}
	}
	for _, text := range []string{"", "42 (x", "42 (x) S 1 2", "42 (x) S 1 2 3 4 -1 5 6 0 0 0 many 25 0"} {
		if got, err := parseStat(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestAnonymousMemoryIsWhatNoFileBacks(t *testing.T) {
	t.Parallel()
	if resident, shared, err := parseStatm("31000 8000 5500 9000 0 20000 0\n"); err != nil || resident != 8000 || shared != 5500 {
		t.Errorf("%d pages of which %d are shared, %v; want 8000 and 5500", resident, shared, err)
	}
	for _, text := range []string{"", "1 2", "1 x 3", "1 2 x"} {
		if resident, shared, err := parseStatm(text); err == nil {
			t.Errorf("%q is read as %d and %d", text, resident, shared)
		}
	}
	resident, anonymous, err := Memory(os.Getpid())
	if err != nil || anonymous <= 0 || anonymous >= resident {
		t.Errorf("this process has %d bytes, of which %d are anonymous, %v", resident, anonymous, err)
	}
}

func TestTheMachinesTimeLeavesOutIdleWaitingAndInterrupts(t *testing.T) {
	t.Parallel()
	got, err := parseMachine("cpu  100 20 30 4000 500 60 70 8 90 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if want := 1580 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, text := range []string{"", "cpu0 1 2 3 4 5 6 7 8 9 10", "cpu 1 2 3"} {
		if got, err := parseMachine(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestOnlySocketsThatListenOnThePortCount(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:1628 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 30 10 -1
   2: 00000000:1629 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
   3: 00000000000000000000000000000000:1628 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 444 1
`
	if got := parseSockets(table, 0x1628); !slices.Equal(got, []string{"111", "444"}) {
		t.Errorf("sockets %v, want 111 and 444", got)
	}
}

func TestThisProcessIsFoundByItsPortAndHasUsedTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if pid, err := Listener(port); err != nil || pid != os.Getpid() {
		t.Errorf("process %d listens on port %d, %v; want %d", pid, port, err, os.Getpid())
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, err := Listener(0); !errors.Is(err, ErrNotFound) {
		t.Errorf("process %d listens on no port, %v", pid, err)
	}
	outside, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	inside, err := Self()
	if err != nil || inside+tick < outside {
		t.Errorf("own time is %v, %v; /proc said %v before", inside, err, outside)
	}
	if machine, err := Machine(); err != nil || machine < outside {
		t.Errorf("the machine has used %v, %v; this process alone %v", machine, err, outside)
	}
}

func TestThisProcessHasMemoryAndNoOtherHasItsClock(t *testing.T) {
	t.Parallel()
	if got, err := RSS(os.Getpid()); err != nil || got < 1<<20 {
		t.Errorf("this process has %d bytes, %v", got, err)
	}
	for _, pid := range []int{0, -1, maxPID + 1} {
		if got, err := CPU(pid); err == nil {
			t.Errorf("process %d has used %v", pid, got)
		}
		if got, err := RSS(pid); err == nil {
			t.Errorf("process %d has %d bytes", pid, got)
		}
	}
	if got := EmptyCall(); got <= 0 || got > time.Millisecond {
		t.Errorf("an empty call takes %v", got)
	}
}
