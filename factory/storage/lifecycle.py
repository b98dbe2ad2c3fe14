"""Retention classes, and what an S3 bucket should do by itself beside them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

# None: kept for ever. The factory ends the others itself: only its books know which pictures a later order delivers again.
RETENTION: dict[str, timedelta | None] = {"standard": timedelta(days=90), "campaign": timedelta(days=30), "archive": None}
TAG = "factory-retention"
UPLOAD_DAYS = 1
# So late that a bucket never takes what the factory still keeps because a later order delivers it again.
NET = timedelta(days=365)


def lifecycle_rules(*, undo_days: int = 7, by_tag: bool = False) -> dict[str, Any]:
    """What `aws s3api put-bucket-lifecycle-configuration` takes.

    Without `by_tag` no living picture is touched: half-sent uploads go, and in a bucket with versions what the factory deleted
    can be brought back for `undo_days`. With it, objects that somebody tagged `factory-retention=<class>` also end a year
    after their class did, should no factory be left to do it; untagged ones stay.
    """
    rules = [
        _rule("half-sent-uploads", AbortIncompleteMultipartUpload={"DaysAfterInitiation": UPLOAD_DAYS}),
        _rule(
            "deleted-pictures",
            NoncurrentVersionExpiration={"NoncurrentDays": undo_days},
            Expiration={"ExpiredObjectDeleteMarker": True},
        ),
    ]
    if by_tag:
        rules += [
            _rule(name, Filter={"Tag": {"Key": TAG, "Value": name}}, Expiration={"Days": (life + NET).days})
            for name, life in RETENTION.items()
            if life is not None
        ]
    return {"Rules": rules}


def _rule(name: str, **what: Any) -> dict[str, Any]:
    return {"ID": f"factory-{name}", "Status": "Enabled", "Filter": {"Prefix": ""}, **what}
