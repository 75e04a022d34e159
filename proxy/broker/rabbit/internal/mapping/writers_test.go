package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// Messages as libraries and frameworks write them, by their documentation and source.
// TestWritersOfOthers of proxy/broker/rabbit has those that real libraries write.
func TestMessagesOfOtherWriters(t *testing.T) {
	t.Parallel()
	const order = `{"total": 5}`
	for name, test := range map[string]struct {
		in     message.Properties
		body   string
		want   string // the event
		beside string // the names of the headers beside it
	}{
		"CloudEvents for Python 1, JSON by any client": {
			in:   message.Properties{ContentType: "application/cloudevents+json", DeliveryMode: 2},
			body: `{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "datacontenttype": "application/json", "time": "2024-11-23T07:07:58.901234+00:00", "data": {"total": 5}}`,
			want: "datacontenttype=String:application/json time=Timestamp:2024-11-23T07:07:58.901234Z data=" + order,
		},
		"CloudEvents for Python 2, AMQP, binary": {
			in: message.Properties{ContentType: "application/json", Headers: table(headers{
				"cloudEvents_specversion": "1.0", "cloudEvents_id": "1", "cloudEvents_source": "/a", "cloudEvents_type": "t",
				"cloudEvents_time": 1732345678901, "cloudEvents_flag": true, "cloudEvents_count": int32(3), "cloudEvents_blob": []byte{0, 255},
			})},
			body: order,
			want: "blob=Binary:AP8= count=Integer:3 datacontenttype=String:application/json flag=Boolean:true time=Timestamp:2024-11-23T07:07:58.901Z data=" + order,
		},
		"CloudEvents for Python 2, RabbitMQ, binary": {
			in: message.Properties{ContentType: "application/json", Headers: table(headers{
				"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", "ce-time": "2024-11-23T07:07:58.901000Z", "ce-flag": "True", "ce-count": "3",
			})},
			body: order,
			want: "count=String:3 datacontenttype=String:application/json flag=String:True time=Timestamp:2024-11-23T07:07:58.901Z data=" + order,
		},
		"CloudEvents for Python 2, structured": {
			in:   message.Properties{ContentType: "application/cloudevents+json"},
			body: `{"type":"t","source":"/a","id":"1","specversion":"1.0","time":"2024-11-23T07:07:58.901Z","data":` + order + `}`,
			want: "datacontenttype=String:application/json time=Timestamp:2024-11-23T07:07:58.901Z data=" + order,
		},
		// Its writer puts extensions into headers without the prefix.
		"CloudEvents for Java, AMQP 1.0 through RabbitMQ, binary": {
			in: message.Properties{ContentType: "application/json", Headers: table(headers{
				"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "/a", "cloudEvents:type": "t",
				"cloudEvents:time": "2024-11-23T07:07:58.901Z", "cloudEvents:subject": "s", "cloudEvents:dataschema": "urn:s", "partitionkey": "k",
			})},
			body:   order,
			want:   "datacontenttype=String:application/json dataschema=URI:urn:s subject=String:s time=Timestamp:2024-11-23T07:07:58.901Z data=" + order,
			beside: "partitionkey",
		},
		"CloudEvents for Java, structured": {
			in:   message.Properties{ContentType: "application/cloudevents+json"},
			body: `{"specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"application/json","comexampleextension1":"value","data":` + order + `}`,
			want: "comexampleextension1=String:value datacontenttype=String:application/json data=" + order,
		},
		"CloudEvents for JavaScript, HTTP.binary by amqplib": {
			in: message.Properties{Headers: table(headers{
				"content-type": "application/json; charset=utf-8", "ce-id": "1", "ce-time": "2024-11-23T07:07:58.901Z", "ce-type": "t", "ce-source": "/a", "ce-specversion": "1.0",
			})},
			body:   order,
			want:   "datacontenttype=String:application/json; charset=utf-8 time=Timestamp:2024-11-23T07:07:58.901Z data=" + order,
			beside: "content-type",
		},
		"CloudEvents for JavaScript, HTTP.structured": {
			in:     message.Properties{ContentType: "application/cloudevents+json; charset=utf-8", Headers: table(headers{"content-type": "application/cloudevents+json; charset=utf-8"})},
			body:   `{"id":"1","time":"2024-11-23T07:07:58.901Z","type":"t","source":"/a","specversion":"1.0","data":` + order + `}`,
			want:   "datacontenttype=String:application/json time=Timestamp:2024-11-23T07:07:58.901Z data=" + order,
			beside: "content-type",
		},
		"CloudEvents for C#, AMQPNetLite through RabbitMQ, binary": {
			in: message.Properties{ContentType: "application/json", Headers: table(headers{
				"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "/a", "cloudEvents:type": "t",
				"cloudEvents:time": number('T', 1732345678, 8), "cloudEvents:flag": true, "cloudEvents:count": int32(3), "cloudEvents:blob": []byte("b"),
			})},
			body: order,
			want: "blob=Binary:Yg== count=Integer:3 datacontenttype=String:application/json flag=Boolean:true time=Timestamp:2024-11-23T07:07:58Z data=" + order,
		},
		"CloudEvents for C#, structured, with the attributes as headers": {
			in: message.Properties{ContentType: "application/cloudevents+json", Headers: table(headers{
				"cloudEvents_specversion": "1.0", "cloudEvents_id": "1", "cloudEvents_source": "/a", "cloudEvents_type": "t",
			})},
			body: `{"specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"application/json","data":` + order + `}`,
			want: "datacontenttype=String:application/json data=" + order,
		},
		"Dapr, with its metadata contentType, tracing off": {
			in: message.Properties{ContentType: "application/cloudevents+json", DeliveryMode: 2},
			body: `{"data":` + order + `,"datacontenttype":"application/json","id":"1","pubsubname":"p","source":"/a","specversion":"1.0","time":"2024-11-23T07:07:58Z",` +
				`"topic":"orders","traceid":"","traceparent":"","tracestate":"","type":"t"}`,
			want: "datacontenttype=String:application/json pubsubname=String:p time=Timestamp:2024-11-23T07:07:58Z topic=String:orders data=" + order,
		},
		// Its content type is text/plain unless the publisher says more; then the service gets the envelope.
		"Dapr, by default": {
			in:   message.Properties{ContentType: "text/plain", DeliveryMode: 2, MessageID: "m"},
			body: `{"specversion":"1.0"}`,
			want: `id=m source=/amqp/x type=amqp.message datacontenttype=String:text/plain data={"specversion":"1.0"}`,
		},
		"Spring Cloud Stream": {
			in: message.Properties{ContentType: "application/json", DeliveryMode: 2, MessageID: "m", Timestamp: 1732345678, Headers: table(headers{
				"contentType": "application/json", "target-protocol": "amqp", "tenant": "acme", "deliveryAttempt": int32(1),
			})},
			body:   order,
			want:   "id=m source=/amqp/x type=amqp.message datacontenttype=String:application/json time=Timestamp:2024-11-23T07:07:58Z data=" + order,
			beside: "contentType deliveryAttempt target-protocol tenant",
		},
		"Spring Cloud Function with CloudEvents": {
			in: message.Properties{ContentType: "application/json", DeliveryMode: 2, Headers: table(headers{
				"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "/a", "cloudEvents:type": "t", "contentType": "application/json",
			})},
			body:   order,
			want:   "datacontenttype=String:application/json data=" + order,
			beside: "contentType",
		},
		"MassTransit": {
			in: message.Properties{ContentType: "application/vnd.masstransit+json", DeliveryMode: 2, MessageID: "181c0000-6393-3630-36a4-08daf4e7c6da", Headers: table(headers{
				"Content-Type": "application/vnd.masstransit+json", "publishId": "1", "MT-Activity-Id": "00-7c-5b-01",
			})},
			body:   `{"messageType": ["urn:message:Shop:Placed"]}`,
			want:   `id=181c0000-6393-3630-36a4-08daf4e7c6da source=/amqp/x type=amqp.message datacontenttype=String:application/vnd.masstransit+json data={"messageType": ["urn:message:Shop:Placed"]}`,
			beside: "Content-Type MT-Activity-Id publishId",
		},
		"Celery": {
			in: message.Properties{ContentType: "application/json", ContentEncoding: "utf-8", CorrelationID: "7d", ReplyTo: "r", DeliveryMode: 2, MessageID: "m", Headers: table(headers{
				"lang": "py", "task": "shop.add", "id": "7d", "root_id": "7d", "parent_id": nil, "group": nil, "retries": int32(0),
				"timelimit": raw{'A', "VV"}, "argsrepr": "(2, 2)", "kwargsrepr": "{}", "origin": "gen1@host", "ignore_result": false, "stamps": headers{},
			})},
			body:   `[[2, 2], {}, {"callbacks": null}]`,
			want:   `id=m source=/amqp/x type=amqp.message correlationid=String:7d datacontenttype=String:application/json data=[[2, 2], {}, {"callbacks": null}]`,
			beside: "argsrepr group id ignore_result kwargsrepr lang origin parent_id retries root_id stamps task timelimit",
		},
		"Knative's broker": {
			in: message.Properties{ContentType: "application/json", MessageID: "1", DeliveryMode: 2, Headers: table(headers{
				"content-type": "application/json", "specversion": "1.0", "time": "2024-11-23T07:07:58Z", "id": "1", "type": "t", "source": "/a",
				"traceparent": "00-hop", "tracestate": "", "ext": "x",
			})},
			body: order,
			want: "datacontenttype=String:application/json ext=String:x time=Timestamp:2024-11-23T07:07:58Z data=" + order,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &message.Message{Exchange: "x", Properties: test.in, Body: []byte(test.body)}
			wantEvent(t, m, test.want)
			var names []string
			for _, h := range mapping.Headers(m) {
				names = append(names, h.Name)
			}
			if got := strings.Join(names, " "); got != test.beside {
				t.Errorf("beside it are %s, want %s", fmt.Sprintf("%q", got), test.beside)
			}
		})
	}
}
