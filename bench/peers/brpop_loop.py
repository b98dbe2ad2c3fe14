"""The plain loop: BRPOP, draw, Pillow's default PNG, re-save with metadata, boto3, INSERT. As the scripts people run today do it.

`python -m bench.peers.brpop_loop REDIS DATABASE ENDPOINT KEY SECRET BUCKET SECONDS`
"""

import hashlib
import io
import json
import sys
import time

import boto3
import numpy as np
import psycopg
import redis
from botocore.config import Config
from PIL import Image, ImageDraw, PngImagePlugin

SIDE = 1024
LIST = "bench:brpop"


def picture(seed: int) -> Image.Image:
    """Something a PNG encoder has to work for: gradients with a little noise."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, SIDE, dtype=np.float32)
    pixels = np.stack([ramp[None, :].repeat(SIDE, 0), ramp[:, None].repeat(SIDE, 1), np.full((SIDE, SIDE), 128, np.float32)], axis=-1)
    return Image.fromarray(np.clip(pixels + random.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8))


def finish(image: Image.Image, prompt: str) -> bytes:
    ImageDraw.Draw(image).text((SIDE - 120, SIDE - 40), "AI generated", fill="white")
    first = io.BytesIO()
    image.save(first, "PNG")
    again = Image.open(io.BytesIO(first.getvalue()))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("prompt", prompt)
    second = io.BytesIO()
    again.save(second, "PNG", pnginfo=notes)
    return second.getvalue()


def client(endpoint: str, key: str, secret: str):
    style = Config(s3={"addressing_style": "path"}, response_checksum_validation="when_required")
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1", config=style
    )


def main() -> None:
    redis_url, database, endpoint, key, secret, bucket, seconds = sys.argv[1:]
    queue, s3 = redis.Redis.from_url(redis_url), client(endpoint, key, secret)
    drawn = picture(0)
    with psycopg.connect(database, autocommit=True) as log:
        while True:
            _, raw = queue.brpop([LIST])
            job = json.loads(raw)
            started = time.time()
            time.sleep(float(seconds))
            content = finish(drawn.copy(), job["prompt"])
            name = f"brpop/{job['id']}.png"
            s3.put_object(Bucket=bucket, Key=name, Body=content)
            log.execute(
                "INSERT INTO peer_log (peer, id, started, finished, sha256) VALUES ('brpop', %s, to_timestamp(%s), clock_timestamp(), %s)",
                (job["id"], started, hashlib.sha256(content).hexdigest()),
            )


if __name__ == "__main__":
    main()
