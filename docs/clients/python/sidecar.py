"""What the programs share: the connection, an event, and what to do about an error."""

import json
import random

import error_details_pb2
import grpc
from warren.events.v1 import cloudevent_pb2, event_service_pb2_grpc

# How often something is tried, about 10 seconds in all: a program that tries for ever
# hides the cause.
TRIES = 10


def connect(target):
    """Connects to the service's own sidecar: same host or pod, hence no TLS."""
    return event_service_pb2_grpc.EventServiceStub(grpc.insecure_channel(target))


def new_event(event_id, payload):
    event = cloudevent_pb2.CloudEvent(
        id=event_id, source="/clients/python", spec_version="1.0", type="com.shop.order.placed",
        binary_data=json.dumps(payload).encode(),
    )
    event.attributes["datacontenttype"].ce_string = "application/json"
    return event


def again(status, attempt):
    """Returns in how many seconds the same event, with the same id, should be sent
    again; None when that cannot help. attempt counts from 0. A limit that asks for no
    delay, such as that of a message's size, is there the next time, too."""
    asked = find(status, error_details_pb2.RetryInfo)
    codes = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED]
    if asked:
        codes.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
    if attempt + 1 >= TRIES or status.code not in (code.value[0] for code in codes):
        return None
    longest = min(0.1 * 2 ** min(attempt, 5), 2)
    delay = asked.retry_delay.ToTimedelta().total_seconds() if asked else 0
    return max(delay, longest * random.uniform(0.5, 1))


def reason(status):
    """Returns what the sidecar says about an error: CONFIRM_TIMEOUT, for example, and
    whether the broker may have the event: "unknown"."""
    info = find(status, error_details_pb2.ErrorInfo)
    if info is None:
        return f"code {status.code} unknown"
    return f"{info.reason} {info.metadata.get('outcome', 'unknown')}"


def status_of(error):
    """Returns the status of a failed call, with its details."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return error_details_pb2.Status.FromString(value)
    return error_details_pb2.Status(code=error.code().value[0], message=error.details())


def find(status, message):
    for detail in status.details:
        if detail.type_url.endswith("/google.rpc." + message.DESCRIPTOR.name):
            return message.FromString(detail.value)
    return None
