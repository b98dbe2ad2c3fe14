#!/bin/sh
# Lint, types, floors; with "test" every test too. What fails fastest comes first. Runs in the environment of scripts/bootstrap.py.
set -eu
cd "$(dirname "$0")/.."

step() {
    echo "== $1"
    shift
    "$@"
}

step lint python -m ruff check .
step format python -m ruff format --check .
step floors python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
step types python -m mypy
if [ "${1:-}" = test ]; then
    # Half of the time is waiting for servers: three at once, each file on one of them, with servers of its own.
    step tests python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
fi
