"""The order door of the articles: FastAPI reads a list of pydantic models and pushes one message for each to Redis.

`REDIS_URL=… python -m uvicorn bench.peers.ingest_list:app`
"""

import os
import uuid

import redis
from fastapi import FastAPI
from pydantic import BaseModel

LIST = "bench:ingest"
app = FastAPI()
queue = redis.Redis.from_url(os.environ["REDIS_URL"])


class Item(BaseModel):
    prompt: str
    sku: str | None = None
    external_id: str | None = None
    width: int = 1024
    height: int = 1024
    campaign: str | None = None
    tags: list[str] = []
    metadata: dict[str, str] = {}


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}


@app.post("/batches", status_code=202)
async def create(items: list[Item]):
    ids = []
    for item in items:
        job_id = str(uuid.uuid4())
        queue.lpush(LIST, item.model_copy(update={"external_id": item.external_id or job_id}).model_dump_json())
        ids.append(job_id)
    return {"accepted": len(ids), "ids": ids}
