"""How long an event loop keeps a trivial request waiting: `python -m bench.probe HOST PORT` asks every 5 ms until its input ends."""

import http.client
import json
import select
import sys
import time

EVERY = 0.005


def main() -> None:
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=120)
    waits: list[float] = []
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        waits.append(1000 * (time.perf_counter() - began))
    waits.sort()
    print(json.dumps({"asked": len(waits), "p99_ms": waits[int(len(waits) * 0.99)], "worst_ms": waits[-1]}))


if __name__ == "__main__":
    main()
