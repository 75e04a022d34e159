package fault

import "testing"

func TestConflictsNameBothSides(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'orders' in vhost '/': received 'topic' but current is 'direct'":                                           `exchange "orders" exists with type direct, wanted topic`,
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type 'longstr' but current is none":                  `queue "q" exists with type classic, wanted quorum`,
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'classic' but current is 'quorum'":                                         `queue "q" exists with type quorum, wanted classic`,
		"PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'it's' in vhost '/': received 'true' but current is 'false'":                                               `queue "it's" exists with durable false, wanted true`,
		"PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '5' of type 'long' but current is the value '9' of type 'long'": `queue "q" exists with x-message-ttl 9, wanted 5`,
		"something else": "something else",
	}
	for reason, want := range tests {
		if got := conflictText(reason); got != want {
			t.Errorf("%s\n is said as %s\n want %s", reason, got, want)
		}
	}
}
