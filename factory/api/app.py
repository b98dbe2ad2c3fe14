"""create_app: settings in, the HTTP door out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from factory import __version__, bootstrap
from factory.api import (
    assets,
    audit,
    batches,
    catalogues,
    checkpoints,
    collecting,
    dead_letters,
    files,
    health,
    jobs,
    mappings,
    metrics_page,
    queue,
    steering,
    templates,
    webhooks,
)
from factory.api.body_limit import BodyLimit
from factory.api.deps import Doorkeeper, no_nul
from factory.api.http_metrics import HttpMetrics
from factory.api.links import Links
from factory.api.problems import answer_faults
from factory.api.request_id import RequestId
from factory.api.security_headers import SecurityHeaders
from factory.api.unexpected import Unexpected
from factory.jobs.queue_memory import QueueMemory
from factory.settings import Settings

ORDERS = (queue, jobs, catalogues, batches, steering, collecting, templates, mappings, webhooks)
ROUTES = (*ORDERS, assets, checkpoints, dead_letters, audit, files, health, metrics_page)
POOL = 10


def create_app(
    settings: Settings, *, ring: Callable[[int], None], wake_reader: Callable[[], None], probe_broker: Callable[[], None]
) -> FastAPI:
    """`ring(n)` wakes workers for n new jobs, `wake_reader()` who reads received orders; neither blocks. `probe_broker` raises when the
    broker does not answer.

    Raises when the prompt rules do not load: no rules, no orders.
    """
    db = bootstrap.build_database(settings, pool_size=POOL)
    storage = bootstrap.build_storage(settings)
    rules = bootstrap.build_rules(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        db.close()

    app = FastAPI(
        title="content factory",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        dependencies=[Depends(no_nul)],
        redirect_slashes=False,
    )
    app.state.settings, app.state.db, app.state.storage, app.state.ring = settings, db, storage, ring
    app.state.wake_reader = wake_reader
    app.state.admission = bootstrap.build_admission(settings, db, rules)
    app.state.links = Links(storage, settings.public_url, settings.link_seconds)
    app.state.doorkeeper = Doorkeeper(db)
    app.state.queue_memory = QueueMemory()
    app.state.policy_version = rules.version
    app.state.probes = {"database": db.check, "storage": storage.check, "redis": probe_broker}
    for room in ROUTES:
        app.include_router(room.router)
    answer_faults(app)
    # The last one added is the outermost.
    app.add_middleware(Unexpected)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HttpMetrics)
    app.add_middleware(RequestId)
    return app
