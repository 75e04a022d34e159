package layout

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func TestAPartitionersNameLeavesRoomForItsAlternateExchange(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", message.MaxShort-len(unpartitioned))
	if err := checkPartitioner(queueing.Partitioner{Name: long, Queues: []string{"q"}}); err != nil {
		t.Errorf("the longest name: %v", err)
	}
	if err := checkPartitioner(queueing.Partitioner{Name: long + "n", Queues: []string{"q"}}); broker.KindOf(err) != broker.Invalid {
		t.Errorf("one byte more: %v", err)
	}
}
