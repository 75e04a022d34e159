"""Publishes events as a pipeline: stream.py TARGET TOPIC PREFIX COUNT"""

import collections
import queue
import sys
import threading
import time

import grpc
import sidecar
from warren.events.v1 import event_service_pb2

WINDOW = 64  # unanswered events; the sidecar's own window is 1024


class Pipeline:
    def __init__(self, stub, topic, events):
        self.stub, self.topic = stub, topic
        self.lock = threading.Lock()  # guards all below: waits end on other threads
        self.queue = collections.deque((event, 0) for event in events)  # to be sent, in order
        self.sent = {}  # unanswered events and their attempts, by request id
        self.open = len(events)  # neither confirmed nor refused
        self.last = 0  # request id
        self.requests = None  # to the stream there is; None ends it

    def run(self):
        attempt = 0
        while self.open:
            before = self.open
            try:
                self.stream()
            except grpc.RpcError as error:
                if self.open < before:
                    attempt = 0  # it went on for a while
                wait = sidecar.again(sidecar.status_of(error), attempt)
                if wait is None:
                    raise
                time.sleep(wait)
                attempt += 1
            else:
                if self.open:
                    raise RuntimeError("the sidecar ended the stream")

    def stream(self):
        """Lives as long as one PublishStream. What it leaves unanswered is of unknown
        outcome and goes back into the queue, with its id."""
        self.requests = queue.SimpleQueue()
        call = self.stub.PublishStream(iter(self.requests.get, None))
        self.fill()
        try:
            for response in call:
                for result in response.results:
                    self.settle(result)
                self.fill()
        finally:
            call.cancel()
            self.requests.put(None)
            with self.lock:
                for event, attempt in self.sent.values():
                    print("again", event.id, "STREAM_ENDED unknown", flush=True)
                    self.queue.append((event, attempt))
                self.sent.clear()

    def fill(self):
        """Sends as much as the window holds; half-closes when all is done."""
        with self.lock:
            while self.queue and len(self.sent) < WINDOW:
                event, attempt = self.queue.popleft()
                self.last += 1
                self.sent[self.last] = (event, attempt)
                entry = event_service_pb2.PublishStreamEntry(request_id=self.last, event=event)
                self.requests.put(event_service_pb2.PublishStreamRequest(topic=self.topic, entries=[entry]))
            if self.open == 0:
                self.requests.put(None)

    def settle(self, result):
        """Takes one result. Results come in any order."""
        with self.lock:
            event, attempt = self.sent.pop(result.request_id)
            status = result.result.status
            if status.code == 0:
                self.open -= 1
                print("confirmed", event.id, flush=True)
                return
        wait = sidecar.again(status, attempt)
        if wait is None:
            raise RuntimeError(f"publish {event.id}: {status.message}")
        print("again", event.id, sidecar.reason(status), flush=True)
        threading.Timer(wait, self.later, [event, attempt + 1]).start()

    def later(self, event, attempt):
        with self.lock:
            self.queue.append((event, attempt))
        self.fill()


def main(target, topic, prefix, count):
    events = [sidecar.new_event(f"{prefix}-{n}", {"n": n}) for n in range(int(count))]
    Pipeline(sidecar.connect(target), topic, events).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
