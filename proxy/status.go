package proxy

import (
	"context"
	"net/http"

	"github.com/warrenmesh/warren/proxy/admin"
)

func (p *Proxy) openAdmin(ctx context.Context, address string, h http.Handler) (*admin.Server, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // a nil *admin.Server serves nothing, as documented
	}
	l, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	return admin.New(l, h), nil
}

// statusHandler serves the probes of the kubelet.
func (p *Proxy) statusHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", admin.Probe(func() error { return nil }))
	mux.Handle("GET /readyz", admin.Probe(p.Ready))
	mux.Handle("GET /startupz", admin.Probe(p.Ready))
	return mux
}

// adminHandler serves operators; see package admin for the paths.
func (p *Proxy) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ready", admin.Probe(p.Ready))
	mux.Handle("GET /server_info", admin.JSON(func() any { return p.info() }))
	admin.HandleProfiling(mux)
	return mux
}

// info is what /server_info shows.
type info struct {
	Node          string       `json:"node"`
	Namespace     string       `json:"namespace"`
	Workload      string       `json:"workload"`
	Version       string       `json:"version"`
	Ready         bool         `json:"ready"`
	Reason        string       `json:"reason,omitempty"`
	ConfigVersion string       `json:"configVersion,omitempty"`
	ConfigOnDisk  bool         `json:"configFromDisk"`
	Stale         uint64       `json:"staleSettlements"`
	Brokers       []brokerInfo `json:"brokers"`
}

type brokerInfo struct {
	Broker     string `json:"broker"`
	Address    string `json:"address,omitempty"`
	Server     string `json:"server,omitempty"`
	Publishing bool   `json:"publishing"`
	Consuming  bool   `json:"consuming"`
	Blocked    bool   `json:"blocked"`
	Reason     string `json:"reason,omitempty"`
}

func (p *Proxy) info() info {
	n := p.opts.Node
	out := info{Node: n.ID, Namespace: n.Namespace, Workload: n.Workload, Version: n.Version, Stale: p.deliver.StaleSettlements()}
	if err := p.Ready(); err != nil {
		out.Reason = err.Error()
	}
	out.Ready = out.Reason == ""
	if cur := p.config.current.Load(); cur != nil {
		out.ConfigVersion, out.ConfigOnDisk = cur.version, cur.fromDisk
	}
	for _, c := range p.pool.Conditions() {
		out.Brokers = append(out.Brokers, brokerInfo{
			Broker: c.Broker.String(), Address: c.Address, Server: c.Server,
			Publishing: c.Publishing, Consuming: c.Consuming, Blocked: c.Blocked, Reason: c.Reason,
		})
	}
	return out
}
