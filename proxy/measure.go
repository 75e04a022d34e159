package proxy

import (
	"strings"

	"github.com/warrenmesh/warren/proxy/metrics"
)

// state is what a scrape of the metrics shows.
func (p *Proxy) state() metrics.State {
	s := metrics.State{Ready: p.Ready() == nil, Stale: p.deliver.StaleSettlements()}
	for _, c := range p.pool.Conditions() {
		s.Connections = append(s.Connections, metrics.Connection{Broker: c.Broker, State: c.State})
	}
	x := p.xds.Status()
	if cur := p.config.Current(); cur != nil {
		s.Config = &metrics.Config{Version: cur.Config.Version, FromDisk: x.FromDisk, At: cur.At}
	}
	s.XDS = metrics.XDS{Connected: x.Connected, LastContact: x.LastContact, Resources: map[metrics.Resource]int{}}
	for _, r := range x.Resources {
		s.XDS.Resources[metrics.Resource{Type: shortType(r.TypeURL), State: r.State.String()}]++
	}
	return s
}

// shortType is the last word of a type URL.
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
