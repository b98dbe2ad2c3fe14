"""finish_picture: what an engine drew becomes finished bytes: chain, key, name. Nothing leaves this process yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factory.domain.claim import Claim
from factory.domain.draft import Draft, Picture
from factory.errors import Permanent
from factory.jobs.close_job import Finished
from factory.postprocess.chain import Chain
from factory.storage.naming import file_name, object_key


@dataclass(frozen=True)
class FinishedPicture:
    """The bytes to store, and what close_job will record of them."""

    claim: Claim
    content: bytes
    record: Finished


def finish_picture(claim: Claim, picture: Picture, chain: Chain, *, policy_version: str) -> FinishedPicture:
    """`policy_version` is that of the rules which let this attempt be drawn. Raises BadPicture when the file does not read back."""
    draft = chain.apply(Draft(claim.spec, picture.pixels, str(claim.job_id), claim.tenant))
    if draft.content is None:
        raise Permanent("the chain has no step that encodes the picture")
    height, width = picture.pixels.shape[:2]
    facts: dict[str, Any] = {**picture.facts, **draft.facts}
    record = Finished(
        key=object_key(claim.tenant, claim.project, claim.day, claim.seq, claim.attempt),
        filename=file_name(claim.project, claim.day, claim.seq),
        media_type=draft.media_type,
        size=len(draft.content),
        sha256=draft.sha256,
        width=width,
        height=height,
        evaluations=picture.evaluations,
        facts=facts,
        seconds={name: round(value, 6) for name, value in {**picture.seconds, **draft.seconds}.items()},
        policy_version=policy_version,
    )
    return FinishedPicture(claim, draft.content, record)
