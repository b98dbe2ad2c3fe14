"""Production: the verbs that real orders and real workers call, on a real Postgres, told what time it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from factory.domain.claim import Claim
from factory.domain.job_order import JobOrder
from factory.errors import LeaseLost
from factory.jobs.admit import Admission, Limits, admit
from factory.jobs.batch_order import BatchOrder
from factory.jobs.checkpoints import list_checkpoints
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import Finished, close_job
from factory.jobs.learn_speeds import learn_speeds
from factory.jobs.loras import list_loras
from factory.jobs.prepare_batch import ParsedRow, prepare_batch
from factory.jobs.quote import quote_order
from factory.jobs.raise_marks import raise_marks
from factory.jobs.release_held import release_held
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from factory.jobs.submit_batch import submit_batch
from factory.jobs.submit_job import submit_job
from factory.jobs.worker_presence import Sign, show_presence
from factory.jobs.worker_run import WorkerRun
from factory.postprocess.prompt_rules import Decision
from factory.simulate.arrivals import Arrival, Wanted
from factory.simulate.ground import BEGIN, Books
from factory.simulate.scenario import SIZES, Scenario
from factory.simulate.worker import SimulatedWorker, Ticket

POLICY_VERSION = "simulation"
LEARN_SECONDS = 30.0
PROMPT = "白底上的保温杯, a vacuum flask on white"
KEPT = text(
    "SELECT (SELECT count(*) FROM jobs j JOIN assets a ON a.job_id = j.id JOIN generations g ON g.job_id = j.id WHERE j.status = 'succeeded'),"
    " (SELECT count(*) - count(DISTINCT job_id) FROM audit_events WHERE action = 'job.succeeded')"
)


@dataclass(frozen=True)
class Kept:
    """What the tables say at the end: pictures with asset and record, and pictures that succeeded more than once."""

    delivered: int
    doubled: int


class Production:
    """Workers are simulated, their claims are not. Leases outlive any two pictures, so nothing renews them.

    `promises` maps the first picture of a batch to when nine of ten such orders would be done, as its quote said.
    """

    name = "ours"
    fills_loads = True

    def __init__(self, scenario: Scenario, books: Books) -> None:
        self._scenario, self._books, self._db = scenario, books, books.db
        self._lease = timedelta(seconds=scenario.lease)
        sides = max(max(width, height) for width, height, *_ in SIZES)
        self._admission = Admission(
            Limits(max_side=sides), list_checkpoints(self._db), lambda _: Decision(POLICY_VERSION), loras=list_loras(self._db)
        )
        self.promises: dict[int, float] = {}
        self._pictures: dict[int, Wanted] = {}
        self._runs: dict[tuple[str, int], WorkerRun] = {}
        self._learned = 0.0
        self._workers: dict[str, SimulatedWorker] = {}
        self._show_workers()

    def arrive(self, arrival: Arrival, at: float) -> None:
        self._books.clock.seconds = at
        caller = self._books.callers[arrival.pictures[0].tenant]
        self._pictures.update((wanted.number, wanted) for wanted in arrival.pictures)
        if arrival.pictures[0].interactive:
            for wanted in arrival.pictures:
                with self._db.transaction() as session:
                    submit_job(session, self._db.now(), caller, admit(_order(wanted), self._admission))
            return
        prepared, order = prepare_batch(_rows(arrival), self._admission), BatchOrder(project="simulation")
        if self._scenario.deadlines:
            quoted = quote_order(self._db, tenant=caller.tenant, order=order, prepared=prepared).finish
            if quoted is not None:
                self.promises[arrival.pictures[0].number] = (quoted.p90 - BEGIN).total_seconds()
        with self._db.transaction() as session:
            submit_batch(session, self._db.now(), caller, order, prepared, request_sha256="")

    def take(self, worker: SimulatedWorker, at: float, *, ahead: bool) -> Ticket | None:
        self._books.clock.seconds = at
        self._workers[worker.name] = worker
        run = self._run(worker)
        resident = worker.loaded
        claim = claim_job(self._db, worker=worker.name, lease=self._lease, resident=resident, ahead=ahead, run=run.next())
        if claim is None:
            return None
        run.claimed(claim, resident, ahead=ahead)
        return Ticket(self._pictures[claim.spec.seed], claim)

    def turns_to(self, worker: SimulatedWorker, ticket: Ticket) -> None:
        self._run(worker).turned_to(ticket.token)

    def finish(self, worker: SimulatedWorker, ticket: Ticket, at: float) -> bool:
        self._books.clock.seconds = at
        self._run(worker).drew({"denoise": ticket.wanted.seconds})
        try:
            close_job(self._db, ticket.token, _finished(ticket.token, ticket.wanted))
        except LeaseLost:
            return False
        return True

    def tend(self, at: float) -> None:
        self._books.clock.seconds = at
        # A node that vanishes is no sign that its picture is poison: here it is the dice.
        requeue_lost_jobs(self._db, max_lost_leases=1_000_000)
        release_held(self._db)
        raise_marks(self._db)
        if at >= self._learned + LEARN_SECONDS:
            self._learned = at
            learn_speeds(self._db)
            self._show_workers()

    def _run(self, worker: SimulatedWorker) -> WorkerRun:
        """One that came back knows nothing of what it drew before."""
        return self._runs.setdefault((worker.name, worker.lives), WorkerRun(lambda: False))

    def _show_workers(self) -> None:
        """Quotes count who is alive; nothing else here does."""
        for n in range(1, self._scenario.workers + 1) if self._scenario.deadlines else ():
            worker = self._workers.get(f"gpu-{n}")
            if worker is None or worker.up:
                show_presence(self._db, f"gpu-{n}", Sign(list(worker.resident) if worker else [], "", 0))

    def kept(self) -> Kept:
        with self._db.transaction() as session:
            return Kept(*session.execute(KEPT).one())


def _order(wanted: Wanted) -> JobOrder:
    loras = [{"name": wanted.lora}] if wanted.lora else None
    return JobOrder.model_validate(
        {
            "prompt": PROMPT,
            "model": wanted.checkpoint,
            "width": wanted.width,
            "height": wanted.height,
            "seed": wanted.number,
            "loras": loras,
        }
    )


def _rows(arrival: Arrival) -> Iterator[ParsedRow]:
    for number, wanted in enumerate(arrival.pictures, 1):
        yield ParsedRow(number, _order(wanted))


def _finished(claim: Claim, wanted: Wanted) -> Finished:
    key = f"{claim.tenant}/{claim.job_id}.a{claim.attempt}.png"
    return Finished(
        key=key,
        filename=f"{claim.project}_{claim.seq:06d}.png",
        media_type="image/png",
        size=1,
        sha256=hashlib.sha256(key.encode()).hexdigest(),
        width=wanted.width,
        height=wanted.height,
        evaluations=claim.spec.num_inference_steps,
        facts={"engine": "simulated"},
        seconds={"denoise": wanted.seconds},
        policy_version=POLICY_VERSION,
    )
