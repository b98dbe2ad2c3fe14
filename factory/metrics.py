"""Every metric of the factory; nothing else declares one. Names: factory_<thing>_<unit>[_total]."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

GPU_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 10, 30)
WAIT_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 900, 3600)
CHAIN_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

jobs = Gauge(
    "factory_jobs",
    "Jobs by state, counted on scrape, queued ones up to 100000 of each lane; finished states live in the audit log",
    ["state"],
)
oldest_queued_seconds = Gauge("factory_oldest_queued_seconds", "Age of the job that has waited longest, wherever it stands")
requests_total = Counter("factory_http_requests_total", "HTTP answers", ["method", "route", "status"])
request_seconds = Histogram("factory_http_request_seconds", "HTTP answer time", ["method", "route"])
ring_failures_total = Counter("factory_ring_failures_total", "Rings that the broker did not take")
claims_total = Counter("factory_claims_total", "Claims by result", ["result"])
claim_seconds = Histogram("factory_claim_seconds", "Time of one claim", buckets=CHAIN_BUCKETS)
job_wait_seconds = Histogram("factory_job_wait_seconds", "From order to claim", buckets=WAIT_BUCKETS)
pictures_total = Counter("factory_pictures_total", "Pictures by outcome", ["outcome", "checkpoint"])
generate_seconds = Histogram("factory_generate_seconds", "GPU time of one picture", ["checkpoint"], buckets=GPU_BUCKETS)
chain_seconds = Histogram("factory_chain_seconds", "Time of one step of the chain", ["step"], buckets=CHAIN_BUCKETS)
cache_requests_total = Counter("factory_cache_requests_total", "Pipeline cache look-ups", ["result"])
cache_bytes = Gauge("factory_cache_bytes", "Bytes of loaded pipelines")
load_seconds = Histogram("factory_load_seconds", "Time to load a checkpoint", buckets=GPU_BUCKETS)
leases_lost_total = Counter("factory_leases_lost_total", "Claims that ended because the lease was lost or canceled")
spooled_pictures = Gauge("factory_spooled_pictures", "Finished pictures waiting for the storage")
gpu_seconds_total = Counter("factory_gpu_seconds_total", "Where the GPU thread's time went", ["state"])
worker_ready = Gauge("factory_worker_ready", "1 once this worker has drawn a real picture")
