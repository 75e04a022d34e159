package frame

import (
	"io"
	"reflect"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	amqp "github.com/rabbitmq/amqp091-go"
)

// amqp091-go's reader of frames is not exported. The linker gives it to these tests, and
// what it returns is looked at through the mirrors below, whose layout a test compares with
// the library's. A later version that changes them fails that test, or does not link.

// libraryReader mirrors amqp091.reader.
type libraryReader struct {
	r            io.Reader
	maxFrameSize *atomic.Uint32
}

// libraryFrame mirrors amqp091.frame.
type libraryFrame interface {
	channel() uint16
	write(w io.Writer) error
}

//go:linkname readLibraryFrame github.com/rabbitmq/amqp091-go.(*reader).ReadFrame
func readLibraryFrame(r *libraryReader) (libraryFrame, error)

type libraryMethod struct {
	ChannelId, ClassId, MethodId uint16 //nolint:revive // the library's names
	Method                       libraryMessage
}

// libraryMessage mirrors amqp091.message.
type libraryMessage interface {
	id() (uint16, uint16)
	read(r io.Reader) error
	wait() bool
	write(w io.Writer) error
}

type libraryHeader struct {
	ChannelId, ClassId uint16 //nolint:revive // the library's names
	weight             uint16
	Size               uint64
	Properties         libraryProperties
}

type libraryProperties struct {
	ContentType, ContentEncoding                                   string
	Headers                                                        amqp.Table
	DeliveryMode, Priority                                         uint8
	CorrelationId, ReplyTo, Expiration, MessageId                  string //nolint:revive // the library's names
	Timestamp                                                      time.Time
	Type, UserId, AppId, reserved1/* the id of a cluster */ string //nolint:revive // the library's names
}

type libraryBody struct {
	ChannelId uint16 //nolint:revive // the library's name
	Body      []byte
}

type libraryDeliver struct {
	ConsumerTag          string
	DeliveryTag          uint64
	Redelivered          bool
	Exchange, RoutingKey string
	Properties           libraryProperties
	Body                 []byte
}

type libraryReturn struct {
	ReplyCode                       uint16
	ReplyText, Exchange, RoutingKey string
	Properties                      libraryProperties
	Body                            []byte
}

type libraryPublish struct {
	reserved1            uint16
	Exchange, RoutingKey string
	Mandatory, Immediate bool
	Properties           libraryProperties
	Body                 []byte
}

type libraryAck struct {
	DeliveryTag uint64
	Multiple    bool
}

type libraryNack struct {
	DeliveryTag       uint64
	Multiple, Requeue bool
}

// mirrored looks at what an interface of the library points to.
func mirrored[Mirror, Interface any](v Interface) *Mirror {
	return (*Mirror)((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]) //nolint:gosec // TestTheMirrorsAreAsTheLibrary
}

func TestTheMirrorsAreAsTheLibrary(t *testing.T) {
	t.Parallel()
	publish := appendPublish(nil, 1, "x", "k", true, everyProperty(), 1)
	r := &libraryReader{r: &inOrder{publish, deliverFrames(1, 1, "b", 1), returnFrames(1, ""),
		appendSettle(nil, 1, basicAck, 1, 1), appendSettle(nil, 1, basicNack, 1, 1)}}
	for _, mirror := range []struct{ frame, method any }{
		{libraryMethod{}, libraryPublish{}}, {frame: libraryHeader{}},
		{libraryMethod{}, libraryDeliver{}}, {frame: libraryHeader{}}, {frame: libraryBody{}},
		{libraryMethod{}, libraryReturn{}}, {frame: libraryHeader{}},
		{libraryMethod{}, libraryAck{}}, {libraryMethod{}, libraryNack{}},
	} {
		f, err := readLibraryFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		sameLayout(t, reflect.TypeOf(f).Elem(), reflect.TypeOf(mirror.frame))
		if mirror.method != nil {
			sameLayout(t, reflect.TypeOf(mirrored[libraryMethod](f).Method).Elem(), reflect.TypeOf(mirror.method))
		}
	}
}

// inOrder reads one after the other.
type inOrder [][]byte

func (in *inOrder) Read(p []byte) (int, error) {
	for len(*in) > 0 && len((*in)[0]) == 0 {
		*in = (*in)[1:]
	}
	if len(*in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, (*in)[0])
	(*in)[0] = (*in)[0][n:]
	return n, nil
}

func sameLayout(t *testing.T, got, want reflect.Type) {
	t.Helper()
	if got.Kind() != want.Kind() || got.Size() != want.Size() {
		t.Errorf("%v is %v of %d bytes, its mirror %v of %d", got, got.Kind(), got.Size(), want.Kind(), want.Size())
		return
	}
	switch got.Kind() {
	case reflect.Struct:
		if got.NumField() != want.NumField() {
			t.Fatalf("%v has %d fields, its mirror %d", got, got.NumField(), want.NumField())
		}
		for i := range got.NumField() {
			a, b := got.Field(i), want.Field(i)
			if a.Name != b.Name || a.Offset != b.Offset {
				t.Errorf("field %d of %v is %s at %d, of its mirror %s at %d", i, got, a.Name, a.Offset, b.Name, b.Offset)
			}
			if a.Type != b.Type {
				sameLayout(t, a.Type, b.Type)
			}
		}
	case reflect.Interface:
		if got.NumMethod() != want.NumMethod() {
			t.Fatalf("%v has %d methods, its mirror %d", got, got.NumMethod(), want.NumMethod())
		}
		for i := range got.NumMethod() {
			if got.Method(i).Name != want.Method(i).Name {
				t.Errorf("method %d of %v is %s, of its mirror %s", i, got, got.Method(i).Name, want.Method(i).Name)
			}
		}
	default:
		t.Errorf("%v has the mirror %v", got, want)
	}
}
