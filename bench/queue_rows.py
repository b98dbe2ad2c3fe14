"""A jobs table with as many waiting rows as asked for, written by the server itself: five tenants, eight checkpoints, LoRAs, users."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from sqlalchemy.engine import make_url

from factory.embedded.postgres import DATABASE, Postgres

TENANTS, CHECKPOINTS, BATCH_ROWS = 5, 8, 1000
# Popularity falls with the rank: the n-th root of a uniform number is cheap and looks like it.
KIND = f"1 + floor({CHECKPOINTS} * power(random(), 2.5))"
FURNISH = f"""
INSERT INTO tenants (id, created_at) SELECT 'tenant-' || n, now() FROM generate_series(0, {TENANTS - 1}) AS n;
INSERT INTO checkpoints (name, engine, sha256, bytes, native_side, registered_at)
  SELECT 'checkpoint-' || n, 'simulated', repeat('0', 64), 1, 1024, now() FROM generate_series(1, {CHECKPOINTS}) AS n;
"""  # noqa: S608 - put together from our own constants
BATCHES = f"""
INSERT INTO batches (id, tenant, request_sha256, project, priority, retention, rows_accepted, rows_refused, row_errors, created_at, tags,
                     customer_metadata)
SELECT md5('batch ' || n)::uuid, 'tenant-' || n %% {TENANTS}, '', 'bench', 'bulk', 'standard', {BATCH_ROWS}, 0, '[]'::jsonb, now(), '{{}}'::text[], '{{}}'::jsonb
FROM generate_series(0, %(rows)s / {BATCH_ROWS}) AS n
"""  # noqa: S608 - as above
JOBS = f"""
WITH drawn AS (
  SELECT n, 'tenant-' || n / {BATCH_ROWS} %% {TENANTS} AS tenant, md5('batch ' || n / {BATCH_ROWS})::uuid AS batch,
         CASE WHEN n %% 20000 = 0 THEN 'interactive' ELSE 'bulk' END AS lane, 'checkpoint-' || {KIND} AS checkpoint,
         CASE WHEN random() < 0.5 THEN '' ELSE 'lora-' || floor(8 * random()) || ':000000000000@1' END AS lora_key
  FROM generate_series(1, %(rows)s) AS n
)
INSERT INTO jobs (id, tenant, batch_id, row_no, sku, project, day, seq, status, priority, lane, vft, turn, cost, ready_at, checkpoint,
                  lora_key, spec_sha256, superseded, requested, spec, warnings, attempt, lost_leases, failures, created_at, end_user, tags,
                  customer_metadata)
SELECT gen_random_uuid(), tenant, CASE WHEN lane = 'bulk' THEN batch END, n %% {BATCH_ROWS}, 'SKU-' || n, 'bench', current_date, n, 'queued',
       lane, lane, n * 0.4 + random(), n * 0.4 + random(), 2.0, now() - make_interval(secs => (%(rows)s - n) * 0.01), checkpoint, lora_key,
       encode(sha256(convert_to(n::text, 'UTF8')), 'hex'), false, jsonb_build_object('prompt', 'a flask ' || n, 'sku', 'SKU-' || n),
       jsonb_build_object('prompt', 'a flask ' || n, 'checkpoint', checkpoint, 'checkpoint_sha256', repeat('0', 64), 'engine', 'simulated',
                          'width', 1024, 'height', 1024, 'seed', n, 'loras', '[]'::jsonb, 'num_inference_steps', 8, 'guidance_scale', 0.0,
                          'label_profile', 'cn', 'policy_version', 'bench'),
       '[]'::jsonb, 0, 0, 0, now(), 'user-' || n %% 7, '{{}}'::text[], '{{}}'::jsonb
FROM drawn
"""  # noqa: S608 - as above
MARKS = """
INSERT INTO queue_marks (lane, checkpoint, tenant, low, settled)
SELECT lane, '', '', min(vft), min(vft) FROM jobs GROUP BY lane
UNION ALL SELECT lane, checkpoint, '', min(vft), min(vft) FROM jobs GROUP BY lane, checkpoint
UNION ALL SELECT lane, checkpoint, tenant, min(turn), min(turn) FROM jobs GROUP BY lane, checkpoint, tenant
ON CONFLICT (lane, checkpoint, tenant) DO UPDATE SET low = excluded.low, settled = excluded.settled, horizon = NULL
"""
START = """
UPDATE jobs SET status = 'running', worker = 'past', lease_until = now(), attempt = 1
WHERE id IN (SELECT id FROM jobs WHERE status = 'queued' ORDER BY seq LIMIT %(rows)s)
"""
END = "UPDATE jobs SET status = 'succeeded', worker = NULL, lease_until = NULL, finished_at = now() WHERE worker = 'past'"


numbers = count(1)


@contextmanager
def queue(server: Postgres, waiting: int) -> Iterator[tuple[str, psycopg.Connection]]:
    """The application's URL of a database with so many waiting jobs, and its owner's connection. The server's own is migrated."""
    name = f"claims_{next(numbers)}"
    with psycopg.connect(at(server.url, "postgres").replace("+psycopg", ""), autocommit=True) as postgres:
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
        with psycopg.connect(at(server.url, name).replace("+psycopg", ""), autocommit=True) as owner:
            furnish(owner)
            print(f"{waiting} waiting jobs written in {fill(owner, waiting):.0f} s")
            yield at(server.app_url, name), owner
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def at(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def furnish(owner: psycopg.Connection) -> None:
    """Tenants and checkpoints."""
    owner.execute(FURNISH)


def fill(owner: psycopg.Connection, rows: int) -> float:
    """Write `rows` waiting jobs; returns the seconds that took. Indexes are made afterwards, as a restore would."""
    began = time.perf_counter()
    made = owner.execute(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = 'jobs'::regclass AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
    ).fetchall()
    owner.execute("SET session_replication_role = replica")  # foreign keys: the rows are ours, and right
    owner.execute("SET maintenance_work_mem = '256MB'")
    for name, _ in made:
        owner.execute(f'DROP INDEX "{name}"')
    owner.execute(BATCHES, {"rows": rows})
    owner.execute(JOBS, {"rows": rows})
    for _, definition in made:
        owner.execute(definition)
    owner.execute("SET session_replication_role = DEFAULT")
    owner.execute(MARKS)
    owner.execute("VACUUM ANALYZE jobs")
    return time.perf_counter() - began


def finish(owner: psycopg.Connection, rows: int) -> None:
    """The `rows` that waited longest are drawn and delivered: twice a new version of each row, as claims and closes write."""
    owner.execute(START, {"rows": rows})
    owner.execute(END)
