package messaging

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Keys of the messaging conventions that metrics have, too; their meaning is fixed
// in https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/.
const (
	KeySystem              = semconv.MessagingSystemKey
	KeyOperationName       = semconv.MessagingOperationNameKey
	KeyOperationType       = semconv.MessagingOperationTypeKey
	KeyDestinationTemplate = semconv.MessagingDestinationTemplateKey
	KeySubscription        = semconv.MessagingDestinationSubscriptionNameKey
)

// Keys of spans alone.
const (
	keyDestinationName = semconv.MessagingDestinationNameKey
	keyRoutingKey      = semconv.MessagingRabbitMQDestinationRoutingKeyKey
	keyDeliveryTag     = semconv.MessagingRabbitMQMessageDeliveryTagKey
	keyMessageID       = semconv.MessagingMessageIDKey
	keyBodySize        = semconv.MessagingMessageBodySizeKey

	keyEventID      = semconv.CloudEventsEventIDKey
	keyEventSource  = semconv.CloudEventsEventSourceKey
	keySpecVersion  = semconv.CloudEventsEventSpecVersionKey
	keyEventType    = semconv.CloudEventsEventTypeKey
	keyEventSubject = semconv.CloudEventsEventSubjectKey

	keyServerAddress = semconv.ServerAddressKey
	keyServerPort    = semconv.ServerPortKey
	keyPeerAddress   = semconv.NetworkPeerAddressKey
	keyPeerPort      = semconv.NetworkPeerPortKey

	keyServicePeerName = semconv.ServicePeerNameKey
)

// keyPeerService is the deprecated spelling of service.peer.name, which Jaeger's
// older readers know; both are written.
const keyPeerService = attribute.Key("peer.service")

// Keys of our own.
const (
	keyAttempt     = attribute.Key("warren.attempt")
	keyRedelivered = attribute.Key("warren.redelivered")
	keyOutcome     = attribute.Key("warren.outcome")
)

// linkIsParent marks the link that is the parent too.
var linkIsParent = semconv.OpenTracingRefTypeChildOf

// eventAttempt is the span event of one failed try that is followed by another.
const eventAttempt = "warren.attempt"
