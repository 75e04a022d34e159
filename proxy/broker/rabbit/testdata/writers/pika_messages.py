"""Sends what a program with pika sends. Usage: pika_messages.py URL QUEUE

The first message has a header of each type pika knows, the second is as the
CloudEvents SDK for Python 2 writes its AMQP binding, the third is plain.
"""

import datetime
import decimal
import sys

import pika

url, queue = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()


def send(body, **properties):
    channel.basic_publish("", queue, body, pika.BasicProperties(**properties))


send(
    b'{"n":1}',
    content_type="application/json",
    headers={
        "ce-specversion": "1.0", "ce-id": b"1", "ce-source": "/pika", "ce-type": "t",
        "ce-time": datetime.datetime(2024, 11, 23, 7, 7, 58), "ce-flag": True, "ce-small": 7, "ce-large": 1732345678901,
        "ce-money": decimal.Decimal("1.25"), "ce-none": None, "ce-bad_name": "x",
        "list": [1, "two", [3]], "table": {"in": True}, "none": None,
    },
)
send(
    b'{"n":1}',
    content_type="application/json",
    headers={
        "cloudEvents_specversion": "1.0", "cloudEvents_id": "2", "cloudEvents_source": "/pika", "cloudEvents_type": "t",
        "cloudEvents_time": 1732345678901,
    },
)
send(b"x", message_id="3", reply_to="rpc.q", content_encoding="gzip", headers={"tenant": "acme"})
connection.close()
