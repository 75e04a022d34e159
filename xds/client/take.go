package client

import (
	"fmt"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// take notes in the table what a response contains. It returns the bad resources, and
// false for a response of a type that Warren does not use.
func (c *Client) take(response *discoveryv3.DeltaDiscoveryResponse) (bad []wire.Rejection, ok bool) {
	typeURL := response.GetTypeUrl()
	c.mu.Lock()
	c.lastContact = time.Now()
	c.mu.Unlock()
	if !known(typeURL) {
		c.opts.Logger.Debug("response of unknown type ignored", keyType, typeURL)
		return nil, false
	}
	for _, r := range response.GetResources() {
		if err := c.takeResource(typeURL, r); err != nil {
			bad = append(bad, wire.Rejection{Resource: resourceName(r), Error: err.Error()})
		} else if parent, state := xds.ParseTraceMetadata(r.GetMetadata()); parent != "" {
			c.cause = tracecontext.Hop{Parent: parent, State: state}
		}
	}
	for _, name := range response.GetRemovedResources() {
		c.takeRemoved(typeURL, name, c.whyGone(typeURL, name))
	}
	for _, name := range response.GetRemovedResourceNames() {
		c.takeRemoved(typeURL, name.GetName(), c.whyGone(typeURL, name.GetName()))
	}
	for _, e := range response.GetResourceErrors() {
		c.takeError(typeURL, e)
	}
	return bad, true
}

// takeResource notes one resource and returns what is wrong with it. A resource that
// is not asked for (any more) is ignored. Any Listener was asked for by the wildcard.
func (c *Client) takeResource(typeURL string, r *discoveryv3.Resource) error {
	name := resourceName(r)
	c.mu.Lock()
	_, asked := c.table[typeURL][name]
	c.mu.Unlock()
	if !asked && typeURL != xds.TypeListener {
		return nil
	}
	e, err := c.decode.Entry(typeURL, name, r.GetVersion(), r.GetResource())
	c.mu.Lock()
	news := false
	if err == nil {
		before := c.table.Accepted(typeURL, name)
		returned, changed := c.table.Accept(e)
		c.barred.Allow(before)
		c.unsaved = returned || c.unsaved
		if changed {
			c.applies++
		}
	} else {
		news = c.table.Reject(typeURL, name, r.GetVersion(), err)
	}
	c.mu.Unlock()
	if news {
		c.opts.Logger.Warn("resource rejected", keyType, shortType(typeURL), keyResource, name, keyVersion, r.GetVersion(), keyError, err)
	}
	return err
}

// whyGone says why there is no resource of a name: what never came was never declared, and
// the name may be misspelt.
func (c *Client) whyGone(typeURL, name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.table.Accepted(typeURL, name) == nil {
		return "the control plane has none of that name"
	}
	return "removed by the control plane"
}

// takeRemoved notes that a resource is gone.
func (c *Client) takeRemoved(typeURL, name, why string) {
	c.mu.Lock()
	news := c.table.Remove(typeURL, name, why)
	if news {
		c.unsaved = true
		c.applies++
		c.announce()
	}
	c.mu.Unlock()
	if news {
		c.logMissing(typeURL, name, why)
	}
}

// takeError notes why the control plane does not send a resource. Two codes mean
// that there is none for us (gRFC A88); any other may pass, and the clock runs on.
func (c *Client) takeError(typeURL string, e *discoveryv3.ResourceError) {
	name, detail := e.GetResourceName().GetName(), e.GetErrorDetail()
	why := fmt.Sprintf("%s: %s", codes.Code(detail.GetCode()), detail.GetMessage())
	switch codes.Code(detail.GetCode()) {
	case codes.NotFound, codes.PermissionDenied:
		c.takeRemoved(typeURL, name, why)
	default:
		c.mu.Lock()
		c.table.Explain(typeURL, name, why)
		c.mu.Unlock()
	}
}

func resourceName(r *discoveryv3.Resource) string {
	if r.GetName() != "" {
		return r.GetName()
	}
	return r.GetResourceName().GetName()
}

// errorDetail says what is bad, one line per resource; nil means a good response.
func errorDetail(bad []wire.Rejection) *rpcstatus.Status {
	if len(bad) == 0 {
		return nil
	}
	return &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: wire.FormatRejections(bad)}
}
