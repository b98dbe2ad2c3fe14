"""PictureJournal: who is told what happens to each picture. The silent one tells nobody; the queue has one that Flower hears."""

from __future__ import annotations

from factory.domain.claim import Claim
from factory.jobs.close_job import Finished


class PictureJournal:
    """No-op hooks; a journal must never raise and never block."""

    def started(self, claim: Claim) -> None:
        """The GPU begins with this picture."""

    def succeeded(self, claim: Claim, finished: Finished) -> None:
        """The picture is stored and its job has succeeded."""

    def failed(self, claim: Claim, fault: Exception, *, final: bool) -> None:
        """The attempt ended; `final` when the job will not be tried again."""

    def dropped(self, claim: Claim) -> None:
        """The lease was lost or the job canceled."""
