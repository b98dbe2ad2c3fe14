"""learn_speeds: how long a picture of each size takes with each checkpoint, from the newest pictures. For costs and quotes."""

from __future__ import annotations

from sqlalchemy import text

from factory.db import Database

SAMPLES = 2000
# What the card does for one picture; loading is not the picture's, and the chain runs elsewhere.
STAGES = ("encode", "denoise", "decode")
LEARN = text("""
INSERT INTO speeds (checkpoint, pixels, seconds, samples, measured_at)
SELECT checkpoint, pixels, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), count(*), max(at)
FROM (
  SELECT checkpoint, at, CAST(effective ->> 'width' AS integer) * CAST(effective ->> 'height' AS integer) AS pixels,
         (SELECT sum(CAST(stage.value AS double precision)) FROM jsonb_each_text(newest.seconds) AS stage
          WHERE stage.key = ANY(CAST(:stages AS text[]))) AS seconds
  FROM (SELECT * FROM generations ORDER BY id DESC LIMIT :samples) AS newest
) AS drawn
WHERE seconds > 0
GROUP BY checkpoint, pixels
ON CONFLICT (checkpoint, pixels) DO UPDATE
  SET seconds = excluded.seconds, samples = excluded.samples, measured_at = excluded.measured_at
RETURNING 1
""")


def learn_speeds(db: Database, *, samples: int = SAMPLES) -> int:
    """Medians of the newest `samples` pictures of all tenants; returns how many sizes were learned. Safe to repeat."""
    with db.transaction() as session:
        return len(session.execute(LEARN, {"stages": list(STAGES), "samples": samples}).all())
