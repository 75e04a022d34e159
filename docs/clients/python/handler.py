"""Has events pushed to it until SIGTERM: handler.py ADDRESS"""

import json
import signal
import sys
import threading
from concurrent import futures

import grpc
from warren.events.v1 import event_handler_service_pb2 as pb
from warren.events.v1 import event_handler_service_pb2_grpc as rpc
from warren.events.v1 import event_service_pb2


def say(word, event_id):
    """Prints a line in one piece: calls are concurrent."""
    sys.stdout.write(f"{word} {event_id}\n")
    sys.stdout.flush()


class Handler(rpc.EventHandlerServiceServicer):
    def OnEvent(self, request, context):
        """Is called concurrently; context.time_remaining() ends with the ack deadline.
        An error of code INVALID_ARGUMENT refuses the event for good; any other, or an
        exception, makes it come again."""
        try:
            json.loads(request.event.binary_data)
        except ValueError:
            say("refused", request.event.id)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not JSON")
        say("received", request.event.id)
        return pb.OnEventResponse(outcome=event_service_pb2.OUTCOME_ACK)


class Health:
    """grpc.health.v1.Health/Check, for where the package grpcio-health-checking is not:
    the answer is one enum field, 1 for SERVING and 2 for NOT_SERVING."""

    def __init__(self):
        self.serving = True

    def handlers(self):
        check = grpc.unary_unary_rpc_method_handler(lambda *_: b"\x08\x01" if self.serving else b"\x08\x02")
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})


def main(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    rpc.add_EventHandlerServiceServicer_to_server(Handler(), server)
    health = Health()
    server.add_generic_rpc_handlers((health.handlers(),))
    if server.add_insecure_port(address) == 0:
        raise SystemExit(f"cannot listen on {address}")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.start()
    print("ready", flush=True)
    stop.wait()
    health.serving = False  # the sidecar takes no more events from the queue
    server.stop(grace=10).wait()  # those in work are answered


if __name__ == "__main__":
    main(*sys.argv[1:])
