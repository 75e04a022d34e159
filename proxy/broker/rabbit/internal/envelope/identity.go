package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// identify names a message that is no event by what it was when it was first published:
// its body and properties, without what Warren and the broker have added or changed since.
// So a dead letter has the id that the log told, here and in every other sidecar.
func identify(m *message.Message, ours bool) string {
	p := m.Properties
	if ours {
		p.Expiration = orText(p.Expiration, &m.Headers, lifetimeHeader)
		p.UserID = orText(p.UserID, &m.Headers, userIDHeader)
	}
	p.Headers = p.Headers.Without(func(name string) bool { return brokersHeader(name) || ourHeader(name) })
	p.Flags, p.DeliveryMode, p.ClusterID = 0, 0, ""
	h := sha256.New()
	_, _ = h.Write(p.Append(nil))
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, m.Size))
	_, _ = h.Write(m.Body)
	return "malformed-" + hex.EncodeToString(h.Sum(nil)[:10])
}
