package shop

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Files of the shop's configuration that the demo edits.
const (
	BrokerFile = "broker.yaml"
	RouteFile  = "orders-canary.yaml"
	PushFile   = "subscriptions.yaml"
)

// Misspelled is the name of the canary's topic in the broken edit.
const Misspelled = "orders-nxet"

// SetBroker returns the broker's file with the address and vhost that were found.
func SetBroker(text, address, vhost string) (string, error) {
	text, err := substitute(text, `(address: ")[^"]+"`, "${1}"+address+`"`)
	if err != nil {
		return "", err
	}
	return substitute(text, `(?m)^(  vhost: ).*$`, "${1}"+strings.ReplaceAll(strconv.Quote(vhost), "$", "$$"))
}

// SetPushPort returns the subscriptions' file with another port for both of
// billing's.
func SetPushPort(text, port string) (string, error) {
	return substituteAll(text, `(push: \{port: )\d+`, "${1}"+port, 2)
}

// SetWeights returns the route's file with other weights.
func SetWeights(text string, stable, canary int) (string, error) {
	text, err := substitute(text, `(name: orders, weight: )\d+`, fmt.Sprintf("${1}%d", stable))
	if err != nil {
		return "", err
	}
	return substitute(text, `(name: orders-next, weight: )\d+`, fmt.Sprintf("${1}%d", canary))
}

// Misspell returns the route's file with a topic that does not exist, and the number of
// the edited line, from 1.
func Misspell(text string) (broken string, line int, err error) {
	broken, err = substitute(text, `(name: )orders-next(, weight)`, "${1}"+Misspelled+"${2}")
	if err != nil {
		return "", 0, err
	}
	before, _, _ := strings.Cut(broken, Misspelled)
	return broken, strings.Count(before, "\n") + 1, nil
}

// substitute replaces the one match of a pattern.
func substitute(text, pattern, replacement string) (string, error) {
	return substituteAll(text, pattern, replacement, 1)
}

// substituteAll replaces the matches of a pattern. It returns an error unless there are
// exactly as many as wanted: otherwise the file is not the one this demo was written
// for.
func substituteAll(text, pattern, replacement string, want int) (string, error) {
	re := regexp.MustCompile(pattern)
	if n := len(re.FindAllString(text, -1)); n != want {
		return "", fmt.Errorf("edit the configuration: %d matches of %s, want %d", n, pattern, want)
	}
	return re.ReplaceAllString(text, replacement), nil
}
