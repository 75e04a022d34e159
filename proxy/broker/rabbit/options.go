package rabbit

import "github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"

// Options configures a Node. Zero values mean the defaults.
type Options = conn.Options
