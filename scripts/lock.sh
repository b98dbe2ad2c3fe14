#!/bin/sh
# Write the hash-locked requirements anew. torch is left out on purpose: scripts/torch_choice.py chooses it.
set -eu
cd "$(dirname "$0")/../requirements"

# From here, so that no path or index of this machine gets into the files; --upgrade is up to the caller: UV_ARGS=--upgrade.
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes ${UV_ARGS:-} "$@"
}

compile uv.in -o uv.lock
compile core.in -o core.lock
compile -c core.lock dev.in -o dev.lock
compile --overrides no-torch.override -c core.lock -c dev.lock engine.in -o engine.lock
