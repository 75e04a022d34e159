package spans

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Jaeger reads traces through Jaeger's HTTP API.
type Jaeger struct {
	// URL of the UI and the API, without a slash at the end: "http://127.0.0.1:16686".
	URL string
	// Client to use; nil means http.DefaultClient.
	Client *http.Client
}

// Page is the URL of a trace in the UI.
func (j *Jaeger) Page(traceID string) string { return j.URL + "/trace/" + traceID }

// API is the URL of a trace in the API, which also works without the UI.
func (j *Jaeger) API(traceID string) string { return j.URL + "/api/traces/" + traceID }

// Answers reports whether a Jaeger API answers.
func (j *Jaeger) Answers(ctx context.Context) bool {
	var services struct {
		Data []string `json:"data"`
	}
	return j.read(ctx, "/api/services", &services) == nil
}

// Fetch returns the spans that Jaeger has of a trace; none when it does not know the
// trace.
func (j *Jaeger) Fetch(ctx context.Context, traceID string) (Trace, error) {
	var answer jaegerAnswer
	if err := j.read(ctx, "/api/traces/"+traceID, &answer); err != nil {
		return nil, fmt.Errorf("fetch trace from Jaeger: %w", err)
	}
	var out Trace
	for _, trace := range answer.Data {
		for _, s := range trace.Spans {
			out = append(out, s.span(trace.Processes))
		}
	}
	return out, nil
}

// read decodes the JSON at path into v. After a 404 it leaves v unchanged.
func (j *Jaeger) read(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URL+path, nil)
	if err != nil {
		return err
	}
	client := j.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(resp.Body).Decode(v)
	case http.StatusNotFound:
		return nil
	default:
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
}

// jaegerAnswer is the part of /api/traces/{id} that is used here.
type jaegerAnswer struct {
	Data []struct {
		Spans     []jaegerSpan             `json:"spans"`
		Processes map[string]jaegerProcess `json:"processes"`
	} `json:"data"`
}

type jaegerProcess struct {
	ServiceName string `json:"serviceName"`
}

type jaegerSpan struct {
	TraceID    string `json:"traceID"`
	SpanID     string `json:"spanID"`
	Operation  string `json:"operationName"`
	ProcessID  string `json:"processID"`
	StartTime  int64  `json:"startTime"` // microseconds
	Duration   int64  `json:"duration"`  // microseconds
	References []struct {
		Type    string `json:"refType"`
		TraceID string `json:"traceID"`
		SpanID  string `json:"spanID"`
	} `json:"references"`
	Tags []struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	} `json:"tags"`
}

func (s jaegerSpan) span(processes map[string]jaegerProcess) Span {
	out := Span{
		TraceID:  s.TraceID,
		ID:       s.SpanID,
		Service:  processes[s.ProcessID].ServiceName,
		Name:     s.Operation,
		Kind:     "internal",
		Start:    time.UnixMicro(s.StartTime),
		Duration: time.Duration(s.Duration) * time.Microsecond,
	}
	for _, r := range s.References {
		if r.Type == "CHILD_OF" && r.TraceID == s.TraceID {
			out.Parent = r.SpanID
			break // links follow
		}
	}
	for _, tag := range s.Tags {
		text, _ := tag.Value.(string)
		switch tag.Key {
		case "span.kind":
			out.Kind = text
		case "warren.component":
			out.Component = text
		case "error":
			out.Failed = tag.Value == true || text == "true"
		case "otel.status_description":
			out.Message = text
		}
	}
	return out
}
