package layout

import "testing"

func TestServersFromRabbitMQ43OnDelayRetries(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]bool{
		"RabbitMQ 4.3.0": true, "RabbitMQ 4.3.0-rc.1": true, "RabbitMQ 4.10.2": true, "RabbitMQ 5.0.0": true, "RabbitMQ 10.0": true,
		"RabbitMQ 3.10.8": false, "RabbitMQ 4.2.9": false, "RabbitMQ 4": false, "RabbitMQ": false, "RabbitMQ four": false,
		"LavinMQ 4.3.0": false, "membroker 9.0": false, "": false,
	} {
		if got := DelaysRetries(server); got != want {
			t.Errorf("%q delays retries: %t, want %t", server, got, want)
		}
	}
}
