"""One list for everybody: workers take the oldest job with BRPOP, load what it needs if they do not hold it, draw. As most queues start.

`python -m bench.peers.fifo_line REDIS SECONDS LOAD_SECONDS HELD`: one worker, until its input ends. `HELD` checkpoints fit its card.
A finished job is pushed to DONE as JSON with the seconds since `at`.
"""

import json
import sys
import time
from collections import OrderedDict

import redis

WAITING, DONE = "bench:fifo", "bench:fifo:done"


def main() -> None:
    url, seconds, load_seconds, held = sys.argv[1:]
    queue, resident = redis.Redis.from_url(url), OrderedDict[str, None]()
    while True:
        _, raw = queue.brpop([WAITING])
        job = json.loads(raw)
        if job["checkpoint"] not in resident:
            while len(resident) >= int(held):
                resident.popitem(last=False)
            time.sleep(float(load_seconds))
        resident[job["checkpoint"]] = None
        resident.move_to_end(job["checkpoint"])
        time.sleep(float(seconds))
        queue.lpush(DONE, json.dumps({**job, "took": time.time() - job["at"]}))


if __name__ == "__main__":
    main()
