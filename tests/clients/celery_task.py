"""A Celery application whose broker is the endpoint in SQS_ENDPOINT: a worker does real tasks.

Results go into a folder, since SQS keeps none.
"""

import os
import pathlib
import sys
import tempfile
import threading
import time
import urllib.parse

from celery import Celery

endpoint = urllib.parse.urlsplit(os.environ["SQS_ENDPOINT"])
key = os.environ.get("AWS_ACCESS_KEY_ID", "x")
secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "x")
app = Celery("shop", broker=f"sqs://{key}:{urllib.parse.quote(secret, safe='')}@{endpoint.netloc}")
app.conf.update(
    broker_transport_options={
        "is_secure": endpoint.scheme == "https",
        "region": "us-east-1",
        "visibility_timeout": 60,
        "wait_time_seconds": 1,
        "polling_interval": 0.1,
    },
    task_default_queue=f"celery-{os.getpid()}",
    worker_enable_remote_control=False,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
)
results = pathlib.Path(tempfile.mkdtemp())


@app.task(bind=True, max_retries=3)
def charge(self, order, cents):
    """Fails the first time, as payments do."""
    if self.request.retries == 0:
        raise self.retry(countdown=1)
    (results / str(order)).write_text(str(cents))


if __name__ == "__main__":
    for order in range(5):
        charge.delay(order, order * 100)
    charge.apply_async((5, 500), countdown=2)
    worker = app.Worker(pool="solo", loglevel="ERROR", without_heartbeat=True, without_mingle=True, without_gossip=True)
    threading.Thread(target=worker.start, daemon=True).start()
    until = time.monotonic() + 60
    while len(list(results.iterdir())) < 6:
        if time.monotonic() > until:
            sys.exit(f"only {sorted(path.name for path in results.iterdir())} were done")
        time.sleep(0.1)
    found = {int(path.name): int(path.read_text()) for path in results.iterdir()}
    assert found == {order: order * 100 for order in range(6)}, found
    # The worker has taken the standard output.
    print("all is well with Celery", file=sys.__stdout__, flush=True)
    os._exit(0)
