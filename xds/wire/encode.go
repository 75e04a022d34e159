package wire

import (
	"errors"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds/mesh"
)

var errPending = errors.New("wire: mapping not written yet")

// EncodeTopic returns the Listener and the RouteConfiguration of a topic. Rules
// after the first that matches everything are left out: they are never reached.
func EncodeTopic(*mesh.Topic) ([]Resource, error) { return nil, errPending }

// EncodeBroker returns the Cluster and the ClusterLoadAssignment of a broker.
func EncodeBroker(*mesh.Broker) ([]Resource, error) { return nil, errPending }

// EncodeSubscription returns the Listener of a subscription.
func EncodeSubscription(*mesh.Subscription) ([]Resource, error) { return nil, errPending }

// Decode reads one resource and checks it. It never panics.
func Decode(string, *anypb.Any) (Decoded, error) { return nil, errPending }
