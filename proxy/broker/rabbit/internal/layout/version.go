package layout

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

// DelaysRetries reports whether a server, by its product and version, can make what
// is requeued wait; see queueing.Queue.RetryDelay. False while it is not known.
func DelaysRetries(server string) bool {
	product, version, _ := strings.Cut(server, " ")
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	if product != delayingProduct || err != nil {
		return false
	}
	y, err := strconv.Atoi(minor)
	return x > delayingMajor || x == delayingMajor && err == nil && y >= delayingMinor
}
