package rabbit

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// writers are the programs of testdata/writers, each with what it needs.
var writers = map[string]struct {
	client  string // by which WARREN_CLIENTS names it
	command []string
	probe   []string // fails where the libraries are not installed
	install string
}{
	"celery": {
		"python", []string{"/usr/bin/python3", "testdata/writers/celery_task.py"}, []string{"/usr/bin/python3", "-c", "import celery"}, "apt-get install -y python3-celery",
	},
	"pika": {
		"python", []string{"/usr/bin/python3", "testdata/writers/pika_messages.py"}, []string{"/usr/bin/python3", "-c", "import pika"}, "apt-get install -y python3-pika",
	},
	"node": {
		"node", []string{"node", "testdata/writers/node/cloudevents.js"},
		[]string{"node", "-e", "require.resolve('cloudevents',{paths:['testdata/writers/node']});require.resolve('amqplib',{paths:['testdata/writers/node']})"},
		"npm ci --prefix proxy/broker/rabbit/testdata/writers/node",
	},
}

// write runs a program that sends messages to queue. Where its libraries are not
// installed the test is skipped, unless WARREN_CLIENTS, as in CI, says that they are.
func (f *fixture) write(name, queue string) {
	f.Helper()
	w := writers[name]
	if out, err := exec.Command(w.probe[0], w.probe[1:]...).CombinedOutput(); err != nil {
		must := slices.Contains(strings.Split(os.Getenv("WARREN_CLIENTS"), ","), w.client)
		if !must {
			f.Skipf("%s is not installed (%s): %s", name, w.install, out)
		}
		f.Fatalf("WARREN_CLIENTS names %s, but %s is not installed (%s): %s", w.client, name, w.install, out)
	}
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, w.command[0], append(w.command[1:], server(f.T).String(), queue)...)
	c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := c.CombinedOutput(); err != nil {
		f.Fatalf("%s: %v\n%s", filepath.Base(w.command[1]), err, out)
	}
}

// written is what is delivered of one message.
type written struct {
	event   map[string]string
	headers map[string]any
	replyTo string
	coding  string
}

func (f *fixture) wantWritten(d *queueing.Delivery, want written) {
	f.Helper()
	wantAttributes(f.T, d, want.event)
	got := map[string]any{}
	for _, h := range d.Headers {
		got[h.Name] = h.Value
	}
	for name, v := range want.headers {
		if h, ok := got[name]; !ok || !reflect.DeepEqual(h, v) {
			f.Errorf("header %s is %#v, want %#v", name, h, v)
		}
	}
	if d.ReplyTo != want.replyTo || d.ContentEncoding != want.coding {
		f.Errorf("reply_to %q and content_encoding %q, want %q and %q", d.ReplyTo, d.ContentEncoding, want.replyTo, want.coding)
	}
	if err := d.Ack(); err != nil {
		f.Errorf("ack: %v", err)
	}
}

func TestWritersOfOthersCelery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	in := f.consume(queue, 1)
	f.write("celery", queue)
	d := in.next()
	id := d.Event.ID // a hash: Celery sets no message_id
	f.wantWritten(d, written{
		event: map[string]string{
			"id": id, "source": "/amqp/" + queue, "type": "amqp.message", "datacontenttype": "String:application/json", "correlationid": "String:task-1",
			"data": `[[2, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]`,
		},
		headers: map[string]any{"task": "shop.add", "id": "task-1", "lang": "py", "tenant": "acme", "retries": int64(0), "group": nil, "timelimit": []any{nil, nil}},
		replyTo: d.ReplyTo, coding: "utf-8",
	})
}

func TestWritersOfOthersPika(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	in := f.consume(queue, 3)
	f.write("pika", queue)
	f.wantWritten(in.next(), written{
		event: map[string]string{
			"id": "1", "source": "/pika", "type": "t", "datacontenttype": "String:application/json", "time": "Timestamp:2024-11-23T07:07:58Z", "data": `{"n":1}`,
			"flag": "Boolean:true", "small": "Integer:7", "large": "String:1732345678901", "money": "String:1.25",
		},
		headers: map[string]any{
			"ce-bad_name": "x", "list": []any{int64(1), "two", []any{int64(3)}}, "table": []broker.Header{{Name: "in", Value: true}}, "none": nil,
		},
	})
	f.wantWritten(in.next(), written{event: map[string]string{
		"id": "2", "source": "/pika", "type": "t", "datacontenttype": "String:application/json", "time": "Timestamp:2024-11-23T07:07:58.901Z", "data": `{"n":1}`,
	}})
	f.wantWritten(in.next(), written{
		event:   map[string]string{"id": "3", "source": "/amqp/" + queue, "type": "amqp.message", "data": "x"},
		headers: map[string]any{"tenant": "acme"}, replyTo: "rpc.q", coding: "gzip",
	})
}

func TestWritersOfOthersNode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	in := f.consume(queue, 2)
	f.write("node", queue)
	for _, want := range []struct{ id, contentType, count, flag string }{
		{"1", "application/json; charset=utf-8", "Integer:7", "Boolean:true"},
		{"2", "application/json", "Integer:7", "Boolean:true"},
	} {
		f.wantWritten(in.next(), written{event: map[string]string{
			"id": want.id, "source": "/node", "type": "t", "subject": "String:s", "time": "Timestamp:2024-11-23T07:07:58.901Z", "data": `{"n":1}`,
			"datacontenttype": "String:" + want.contentType, "count": want.count, "flag": want.flag,
		}})
	}
}
