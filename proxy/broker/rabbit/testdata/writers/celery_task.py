"""Sends one Celery task to a queue. Usage: celery_task.py URL QUEUE"""

import sys

from celery import Celery
from kombu import Exchange, Queue

url, queue = sys.argv[1:]
app = Celery(broker=url)
app.conf.broker_connection_retry = False
app.send_task(
    "shop.add", args=(2, 2), task_id="task-1", headers={"tenant": "acme"},
    queue=Queue(queue, Exchange("", no_declare=True), routing_key=queue, no_declare=True),
)
