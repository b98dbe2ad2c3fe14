"""The queue: the Celery app, thin tasks, and ring(). Celery carries shifts, not pictures; the jobs table is the truth."""
