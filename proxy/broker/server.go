package broker

import (
	"strconv"
	"strings"
)

// Product and version of the first server with delayed retries in quorum queues.
const (
	delayingProduct = "RabbitMQ"
	delayingMajor   = 4
	delayingMinor   = 3
)

// DelaysRetries reports whether the server can make what is requeued wait; see
// Queue.RetryMax. False while the server is not known.
//
// RabbitMQ has it from 4.3 on, by its documentation; this was never tried against
// such a server.
func (s State) DelaysRetries() bool {
	product, version, _ := strings.Cut(s.Server, " ")
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	if product != delayingProduct || err != nil {
		return false
	}
	y, err := strconv.Atoi(minor)
	return x > delayingMajor || x == delayingMajor && err == nil && y >= delayingMinor
}
