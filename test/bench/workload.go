package main

// kind is what a workload does.
type kind int

const (
	kindUnary    kind = iota + 1 // n callers, each waits for its confirm
	kindStream                   // at most n unconfirmed
	kindDrain                    // receive the messages of a full queue
	kindEndToEnd                 // publish as a stream and receive at the same time
)

// workload is one thing that is measured.
type workload struct {
	name string
	kind kind
	n    int // callers, or the window
	// reference is the CPU time in µs that amqp091-go took for one message of this
	// workload, on a classic queue of an idle machine; 0 means unknown. Only the ratios
	// of the references matter: they detect a disturbed run.
	reference float64
}

var (
	unary1   = workload{"unary1", kindUnary, 1, 140}
	unary16  = workload{"unary16", kindUnary, 16, 37}
	unary64  = workload{"unary64", kindUnary, 64, 29}
	stream   = workload{"stream", kindStream, 1024, 9.6}
	drain    = workload{"drain", kindDrain, 0, 8}
	endToEnd = workload{"e2e", kindEndToEnd, 128, 0}

	allWorkloads = []workload{unary1, unary16, unary64, stream, drain, endToEnd}
)
