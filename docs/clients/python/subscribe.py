"""Receives events until SIGTERM: subscribe.py TARGET SUBSCRIPTION"""

import json
import queue
import signal
import sys
import time

import grpc
import sidecar
from warren.events.v1 import event_service_pb2 as pb

WINDOW = 64  # deliveries held at once


def work(event):
    """Is the service's own. An event may come twice, with the same source and id."""
    try:
        json.loads(event.binary_data)
    except ValueError:
        print("refused", event.id, flush=True)
        return pb.Settlement(outcome=pb.OUTCOME_DEAD_LETTER, reason="not JSON")
    print("received", event.id, flush=True)
    return pb.Settlement(outcome=pb.OUTCOME_ACK)


class Subscriber:
    """Works on one delivery after the other, on the main thread."""

    def __init__(self, stub, subscription):
        self.stub, self.subscription = stub, subscription
        self.stopping = False
        self.working = False
        self.ready = False  # whether the stream there is has begun
        self.requests = queue.SimpleQueue()  # to the stream there is; None ends it

    def stop(self, *_):
        self.stopping = True
        if not self.working:
            self.requests.put(None)

    def run(self):
        attempt = 0
        while not self.stopping:
            self.ready = False
            try:
                self.receive()
                if not self.stopping:
                    raise RuntimeError("the sidecar ended the stream")
            except grpc.RpcError as error:
                if self.ready:
                    attempt = 0
                wait = sidecar.again(sidecar.status_of(error), attempt)
                if wait is None:
                    raise
                print("again", error.details(), flush=True)
                time.sleep(wait)
                attempt += 1

    def receive(self):
        """Lives as long as one stream."""
        self.requests = queue.SimpleQueue()
        self.requests.put(pb.SubscribeRequest(init=pb.SubscribeInit(
            subscription=self.subscription, max_outstanding_messages=WINDOW)))  # the credit is as much, unless it is said
        for response in self.stub.Subscribe(iter(self.requests.get, None)):
            if response.HasField("ready"):
                self.ready = True
                print("ready", flush=True)
            for delivery in response.deliveries.deliveries:
                if self.stopping:
                    break  # left alone: the broker gives them to somebody else
                self.handle(delivery)

    def handle(self, delivery):
        self.working = True
        settlement = work(delivery.event)
        settlement.token = delivery.token
        self.requests.put(pb.SubscribeRequest(settle=pb.SubscribeSettle(settlements=[settlement])))
        self.requests.put(pb.SubscribeRequest(credit=pb.SubscribeCredit(messages=1)))
        self.working = False
        if self.stopping:
            self.requests.put(None)


def main(target, subscription):
    subscriber = Subscriber(sidecar.connect(target), subscription)
    signal.signal(signal.SIGTERM, subscriber.stop)
    subscriber.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
