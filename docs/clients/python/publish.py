"""Publishes events one by one: publish.py TARGET TOPIC PREFIX COUNT"""

import sys
import time

import grpc
import sidecar
from warren.events.v1 import event_service_pb2


def publish(stub, topic, event):
    """Returns when the broker has the event; raises when it never will: repeating
    cannot help."""
    attempt = 0
    while True:
        try:
            return stub.Publish(event_service_pb2.PublishRequest(topic=topic, event=event), timeout=5)
        except grpc.RpcError as error:
            status = sidecar.status_of(error)
            wait = sidecar.again(status, attempt)
            if wait is None:
                raise
            print("again", event.id, sidecar.reason(status), flush=True)
            time.sleep(wait)
            attempt += 1


def main(target, topic, prefix, count):
    stub = sidecar.connect(target)
    for n in range(int(count)):
        event = sidecar.new_event(f"{prefix}-{n}", {"n": n})
        publish(stub, topic, event)
        print("confirmed", event.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
