"""The claim that every article shows: the first row by its order, FOR UPDATE SKIP LOCKED. No checkpoints, no shares, no marks."""

import uuid

import psycopg

CLAIM = """
UPDATE jobs SET status = 'running', worker = %(worker)s, lease_until = now() + interval '60 seconds', attempt = attempt + 1
WHERE id = (SELECT id FROM jobs WHERE status = 'queued' AND hold IS NULL AND lane = 'bulk' ORDER BY vft, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, attempt
"""


def plain_claim(connection: psycopg.Connection, worker: str) -> tuple[uuid.UUID, int] | None:
    """One claim, one transaction; the connection commits by itself."""
    return connection.execute(CLAIM, {"worker": worker}).fetchone()
