package rabbit

import "github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"

// Options configures a Node: see conn.Options for its fields. Zero values mean the defaults.
type Options = conn.Options
