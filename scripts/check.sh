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
    step tests python -m pytest
fi
