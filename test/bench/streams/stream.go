package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/xds"
)

// stream is a sidecar as the control plane sees it: one connection with one delta
// stream. It is written on HTTP/2 frames, because a gRPC client takes as much CPU as
// the server that is to be measured, on the same cores.
type stream struct {
	fleet  *fleet
	id     int
	topics []string

	conn     net.Conn
	writing  sync.Mutex // held while a frame is written
	framer   *http2.Framer
	pending  []byte                       // part of a message
	versions map[string]map[string]string // by type and name, kept over connections
	answered map[string]bool              // types, on this connection
	sequence uint64                       // of the last report
}

// types in the order in which they are asked for. The last one's answer is the last to
// come.
var types = []string{xds.TypeRoute, xds.TypeCluster, xds.TypeEndpoint, xds.TypeListener}

const (
	streamID = 1
	window   = 1 << 30 // larger than all that comes
)

// dial connects and subscribes.
func (s *stream) dial(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	s.conn, s.framer, s.pending, s.answered = conn, http2.NewFramer(&out, nil), nil, map[string]bool{}
	if s.versions == nil {
		s.versions = map[string]map[string]string{}
	}
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName},
		{":authority", address}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	err = errors.Join(
		s.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}),
		s.framer.WriteWindowUpdate(0, window),
		s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: streamID, BlockFragment: headers.Bytes(), EndHeaders: true}),
	)
	for i, typeURL := range types {
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: s.names(typeURL), InitialResourceVersions: s.versions[typeURL]}
		if i == 0 {
			req.Node = s.node().Proto()
		}
		err = errors.Join(err, s.send(req))
	}
	if err == nil {
		_, err = conn.Write(out.Bytes())
	}
	// From here on each frame is written by itself.
	s.framer = http2.NewFramer(conn, bufio.NewReaderSize(conn, 4<<10))
	s.framer.SetReuseFrames()
	return err
}

func (s *stream) names(typeURL string) []string {
	switch typeURL {
	case xds.TypeListener:
		return append([]string{"*"}, s.topics...)
	case xds.TypeRoute:
		return s.topics
	default:
		return []string{"broker/shop/main"}
	}
}

func (s *stream) node() xds.Node {
	return xds.Node{ID: fmt.Sprintf("bench.shop~%d", s.id), Namespace: "shop", Workload: "bench", Labels: map[string]string{"app": "bench"}, Version: "bench"}
}

func (s *stream) send(req *discoveryv3.DeltaDiscoveryRequest) error {
	message, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 5, 128), req)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(message[1:], uint32(len(message)-5)) //nolint:gosec // a request is small
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.framer.WriteData(streamID, false, message)
}

// close ends the connection; follow returns.
func (s *stream) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// follow receives and acknowledges until the stream ends.
func (s *stream) follow() error {
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = s.write(s.framer.WriteSettingsAck)
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = s.write(func() error { return s.framer.WritePing(true, f.Data) })
			}
		case *http2.DataFrame:
			if f.StreamID == streamID { // what the control plane asks of reports is not looked at
				err = s.take(f.Data())
			}
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			return fmt.Errorf("the control plane sent %v", f.Header())
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				return io.EOF
			}
		}
		if err != nil {
			return err
		}
	}
}

func (s *stream) write(frame func() error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return frame()
}

// take takes data of messages, each behind 5 bytes of which 4 are its length.
func (s *stream) take(data []byte) error {
	s.pending = append(s.pending, data...)
	for len(s.pending) >= 5 {
		end := 5 + int(binary.BigEndian.Uint32(s.pending[1:]))
		if len(s.pending) < end {
			return nil
		}
		if err := s.answer(s.pending[5:end]); err != nil {
			return err
		}
		s.pending = s.pending[end:]
	}
	if len(s.pending) == 0 {
		s.pending = nil
	}
	return nil
}

// answer decodes a response with all its resources and acknowledges it.
func (s *stream) answer(message []byte) error {
	resp := new(discoveryv3.DeltaDiscoveryResponse)
	if err := proto.Unmarshal(message, resp); err != nil {
		return err
	}
	for _, r := range resp.GetResources() {
		if _, err := r.GetResource().UnmarshalNew(); err != nil {
			return err
		}
		s.fleet.bytes.Add(int64(proto.Size(r)))
		if s.versions[resp.GetTypeUrl()] == nil {
			s.versions[resp.GetTypeUrl()] = map[string]string{}
		}
		s.versions[resp.GetTypeUrl()][r.GetName()] = r.GetVersion()
	}
	if err := s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}); err != nil {
		return err
	}
	if !s.answered[resp.GetTypeUrl()] {
		s.answered[resp.GetTypeUrl()] = true
		if resp.GetTypeUrl() == xds.TypeListener {
			s.fleet.acknowledged("")
		}
	}
	if resp.GetTypeUrl() == xds.TypeRoute {
		for _, r := range resp.GetResources() {
			s.fleet.acknowledged(r.GetName())
		}
	}
	return nil
}
