package metrics

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// TestMetricsCountWhatHappened is the end-to-end test of issue 3's "Metrics".
func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.day()
	type labels = map[string]string
	sub := func(name string, more ...string) labels {
		l := labels{"messaging_destination_subscription_name": "shop/" + name, "messaging_destination_template": "shop/orders"}
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		return l
	}
	topic := labels{"messaging_destination_template": "shop/orders", "messaging_system": "warren.memory"}
	for _, want := range []struct {
		name   string
		labels labels
		sum    float64
	}{
		{"messaging_client_sent_messages_total", topic, 5},
		{"messaging_client_sent_messages_total", labels{"error_type": "confirm-timeout", "messaging_operation_name": "publish"}, 2},
		{"messaging_client_operation_duration_seconds_count", labels{"messaging_operation_name": "publish", "messaging_operation_type": "send"}, 4},
		{"messaging_client_operation_duration_seconds_count", labels{"messaging_operation_name": "publish", "error_type": "confirm-timeout"}, 1},
		{"messaging_client_operation_duration_seconds_count", sub("billing", "messaging_operation_name", "ack", "messaging_operation_type", "settle"), 6},
		{"warren_publish_retries_total", labels{"error_type": "confirm-timeout"}, 1},
		{"warren_publish_pending", topic, 0},
		{"warren_publish_unconfirmed", topic, 0},
		{"messaging_client_consumed_messages_total", sub("billing", "messaging_operation_name", "process"), 6},
		{"messaging_client_consumed_messages_total", sub("shipping"), 5},
		{"messaging_process_duration_seconds_count", sub("billing"), 6},
		{"messaging_process_duration_seconds_count", sub("billing", "error_type", "handler-error"), 2},
		{"messaging_process_duration_seconds_count", sub("shipping"), 5},
		{"warren_delivery_redeliveries_total", sub("billing", "warren_redelivery_cause", "retry"), 1},
		{"warren_delivery_dead_letters_total", sub("billing", "warren_dead_letter_reason", "rejected"), 1},
		{"warren_delivery_outstanding", sub("billing"), 0},
		{"warren_delivery_stale_settlements_total", nil, 0},
		{"warren_path_messages_total", labels{"warren_path_direction": "publish", "warren_path_step": "decode", "warren_path_kind": "fast"}, 4},
		{"warren_path_messages_total", labels{"warren_path_direction": "publish", "warren_path_step": "decode", "warren_path_kind": "slow"}, 0},
		{"warren_path_messages_total", labels{"warren_path_direction": "publish", "warren_path_step": "try", "warren_path_kind": "fast"}, 4},
		{"warren_path_messages_total", labels{"warren_path_direction": "publish", "warren_path_step": "try", "warren_path_kind": "slow"}, 1},
		{"warren_path_messages_total", labels{"warren_path_direction": "delivery", "warren_path_step": "encode", "warren_path_kind": "fast"}, 6},
		{"warren_path_messages_total", labels{"warren_path_direction": "delivery", "warren_path_step": "encode", "warren_path_kind": "slow"}, 5},
		{"warren_path_messages_total", labels{"warren_path_direction": "delivery", "warren_path_step": "decode", "warren_path_kind": "fast"}, 4},
		{"warren_path_messages_total", labels{"warren_path_direction": "delivery", "warren_path_step": "decode", "warren_path_kind": "slow"}, 2},
		{"warren_path_messages_total", labels{"warren_path_direction": "delivery", "warren_path_step": "settle", "warren_path_kind": "fast"}, 9},
		{"warren_path_messages_total", labels{"warren_path_direction": "delivery", "warren_path_step": "settle", "warren_path_kind": "slow"}, 2},
		{"rpc_server_call_duration_seconds_count", labels{"rpc_method": "warren.events.v1.EventService/Publish", "rpc_response_status_code": "OK"}, 3},
		{"rpc_client_call_duration_seconds_count", labels{"rpc_method": "warren.events.v1.EventHandlerService/OnEvent", "rpc_response_status_code": "OK"}, 5},
		{"warren_ready", nil, 2},
		{"warren_xds_connected", nil, 2},
		{"warren_broker_connections", labels{"warren_broker": "shop/main", "warren_connection_state": "up"}, 4},
		{"warren_broker_connections", labels{"warren_connection_state": "down"}, 0},
		{"warren_broker_queues_gone_total", labels{"warren_broker": "shop/main"}, 0},
		{"warren_config_info", labels{"warren_config_source": "control-plane"}, 2},
		{"warren_xds_resources", labels{"warren_xds_type": "Listener", "warren_xds_state": "ACKED"}, 3},
		{"warren_build_info", labels{"version": "v-test"}, 3},
		{"warren_controlplane_sidecars", labels{"warren_sidecar_state": "SYNCED"}, 2},
		{"warren_controlplane_config_problems", nil, 0},
		{"warren_controlplane_config_reloads_total", labels{"warren_reload_result": "applied"}, 1},
	} {
		// Counters may change for a moment after the last answer.
		m.eventually(fmt.Sprintf("%s%v", want.name, want.labels), func() error {
			found := m.scrapeAll().of(want.name, want.labels)
			if len(found) == 0 || found.sum() != want.sum {
				return fmt.Errorf("%d series that sum up to %v, want %v", len(found), found.sum(), want.sum)
			}
			return nil
		})
	}
}

func TestMetricsFollowTheConventions(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.day()
	all := m.scrapeAll()
	// WIRE 1.3 lists the allowed attributes; required ones come first.
	for name, attributes := range map[string]struct{ required, allowed []string }{
		"messaging_client_operation_duration_seconds_count": {
			[]string{"messaging_operation_name", "messaging_system"},
			[]string{"error_type", "messaging_destination_subscription_name", "messaging_destination_template", "messaging_operation_type", "server_address", "server_port"},
		},
		"messaging_client_sent_messages_total": {
			[]string{"messaging_operation_name", "messaging_system"},
			[]string{"error_type", "messaging_destination_template", "server_address", "server_port"},
		},
		"messaging_client_consumed_messages_total": {
			[]string{"messaging_operation_name", "messaging_system"},
			[]string{"messaging_destination_subscription_name", "messaging_destination_template", "server_address", "server_port"},
		},
		"messaging_process_duration_seconds_count": {
			[]string{"messaging_operation_name", "messaging_system"},
			[]string{"error_type", "messaging_destination_subscription_name", "messaging_destination_template", "server_address", "server_port"},
		},
		"rpc_server_call_duration_seconds_count": {[]string{"rpc_method", "rpc_system_name", "rpc_response_status_code"}, []string{"error_type"}},
	} {
		found := all.of(name, nil)
		if len(found) == 0 {
			t.Errorf("no %s", name)
		}
		for _, s := range found {
			for _, required := range attributes.required {
				if s.labels[required] == "" {
					t.Errorf("%s%v has no %s", name, s.labels, required)
				}
			}
		}
		for _, got := range all.labelNames(name) {
			if !slices.Contains(attributes.required, got) && !slices.Contains(attributes.allowed, got) {
				t.Errorf("%s has %s, which the conventions do not know", name, got)
			}
		}
	}
	bounds := []string{"0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0", "+Inf"}
	for _, name := range []string{
		"messaging_client_operation_duration_seconds", "messaging_process_duration_seconds", "rpc_server_call_duration_seconds", "rpc_client_call_duration_seconds",
	} {
		var got []string
		for _, s := range all.of(name+"_bucket", nil) {
			if !slices.Contains(got, s.labels["le"]) {
				got = append(got, s.labels["le"])
			}
		}
		if !slices.Equal(got, bounds) {
			t.Errorf("%s has the buckets %v", name, got)
		}
	}
}

func TestMetricsAreWhereOperatorsOfEnvoyLook(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	if len(m.scrapePath(m.checkout.AdminAddress(), "/stats/prometheus").of("warren_ready", nil)) != 1 {
		t.Error("no warren_ready")
	}
}

func TestMetricsLeadToTraces(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.day()
	for _, name := range []string{
		"messaging_client_operation_duration_seconds_bucket", "messaging_process_duration_seconds_bucket",
		"rpc_server_call_duration_seconds_bucket", "rpc_client_call_duration_seconds_bucket",
	} {
		m.eventually("an exemplar of "+name, func() error {
			for _, s := range m.scrapeAll().of(name, nil) {
				if len(s.exemplar["trace_id"]) == 32 && len(s.exemplar["span_id"]) == 16 {
					return nil
				}
			}
			return fmt.Errorf("none has one")
		})
	}
}

func TestMetricsStayBoundedWhateverEventsSay(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	const flood = 500
	work := func(from, n int) {
		t.Helper()
		batch := &eventsv1.PublishBatchRequest{Topic: "orders"}
		for i := range n {
			batch.Entries = append(batch.Entries, &eventsv1.PublishBatchEntry{Event: event("e" + strconv.Itoa(from+i))})
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := m.checkout.events.PublishBatch(ctx, batch); err != nil {
			t.Fatal(err)
		}
		m.mustPublish("u" + strconv.Itoa(from))
		m.receive(n+1, acked)
		m.receivePushed(n + 1)
		for i := range n {
			if err := m.publish("nowhere-"+strconv.Itoa((from+i)%50), "x"); status.Code(err) != codes.NotFound {
				t.Fatalf("publish to a topic that does not exist: %v", err)
			}
			method := "/made.up.Service" + strconv.Itoa(from+i) + "/Call"
			if err := m.checkout.conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unimplemented {
				t.Fatalf("%s: %v", method, err)
			}
		}
	}
	series := func() (n int, text string) {
		var parts []string
		for _, s := range m.scrapeAll() {
			parts = append(parts, fmt.Sprint(s.name, s.labels))
		}
		return len(parts), strings.Join(parts, "\n")
	}
	settled := func(n int) error {
		got := m.scrapeAll().of("messaging_process_duration_seconds_count", nil).sum()
		if got != float64(n) {
			return fmt.Errorf("%v deliveries are measured, want %d", got, n)
		}
		return nil
	}
	work(0, 1)
	m.eventually("the first events are settled", func() error { return settled(4) })
	before, _ := series()
	work(1, flood)
	m.eventually("all events are settled", func() error { return settled(4 + 2*(flood+1)) })
	after, text := series()
	if after != before {
		t.Errorf("%d series after %d different events, %d after the first:\n%s", after, flood, before, text)
	}
	for _, secret := range []string{"com.shop", "key-", "subject-", "/checkout/", "nowhere", "made.up"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q, a value of an event or a caller, is in a label:\n%s", secret, text)
		}
	}
}
