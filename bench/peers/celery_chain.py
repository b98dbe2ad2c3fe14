"""The plain Celery chain: generate | label | upload | log, one message each, bytes through the broker, as tutorials have it.

`generate` runs in a solo worker (one GPU); the other three in a worker of two processes.
"""

import base64
import hashlib
import io
import os
import time
from functools import cache

import psycopg
from celery import Celery
from PIL import Image

from bench.peers.brpop_loop import client, finish, picture

app = Celery("bench_chain", broker=os.environ.get("BENCH_REDIS", ""), backend=None)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    task_routes={"bench.generate": {"queue": "chain-gpu"}, "bench.*": {"queue": "chain-cpu"}},
)
_drawn: list[Image.Image] = []


@cache
def s3():
    return client(os.environ["BENCH_ENDPOINT"], os.environ["BENCH_KEY"], os.environ["BENCH_SECRET"])


@cache
def database() -> psycopg.Connection:
    return psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True)


@app.task(name="bench.generate")
def generate(job: str, prompt: str, seconds: float):
    if not _drawn:
        _drawn.append(picture(0))
    started = time.time()
    time.sleep(seconds)
    raw = io.BytesIO()
    _drawn[0].save(raw, "PNG")
    return {"id": job, "prompt": prompt, "started": started, "png": base64.b64encode(raw.getvalue()).decode()}


@app.task(name="bench.label")
def label(made: dict):
    image = Image.open(io.BytesIO(base64.b64decode(made["png"])))
    return {**made, "png": base64.b64encode(finish(image, made["prompt"])).decode()}


@app.task(name="bench.upload")
def upload(made: dict):
    content = base64.b64decode(made.pop("png"))
    s3().put_object(Bucket=os.environ["BENCH_BUCKET"], Key=f"chain/{made['id']}.png", Body=content)
    return {**made, "sha256": hashlib.sha256(content).hexdigest()}


@app.task(name="bench.log")
def log(made: dict):
    database().execute(
        "INSERT INTO peer_log (peer, id, started, finished, sha256) VALUES ('chain', %s, to_timestamp(%s), clock_timestamp(), %s)",
        (made["id"], made["started"], made["sha256"]),
    )
