# `make` prints what there is. Set-up is part of every target and takes milliseconds once done.
PYTHON ?= python3
RUN := $(PYTHON) scripts/bootstrap.py --profile run --
DEV := $(PYTHON) scripts/bootstrap.py --profile dev --
export PYTHONUNBUFFERED = 1
# One process compiles a module, the others read it: the stack starts many, the tests hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up test check fix lock drill bench train clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

demo: ## draw the pictures of demo/skus.csv on a stack of its own, then stop
	@$(RUN) python -m factory demo

up: ## the same stack, and it stays: API, console addresses, worker, Flower
	@$(RUN) python -m factory up

test: ## lint, types, floors and every test, on servers of its own
	@$(DEV) sh scripts/check.sh test

check: ## lint, types and floors only
	@$(DEV) sh scripts/check.sh

fix: ## format, and mend what ruff can mend
	@$(DEV) sh -c 'ruff format . && ruff check --fix .'

lock: ## write requirements/*.lock anew from *.in
	@$(DEV) sh scripts/lock.sh

drill: ## what takes minutes: workers killed, Redis flushed, Postgres restarted
	@$(DEV) python -m pytest -m drill --ignore tests/e2e/test_killed_upload.py
	@FACTORY_TEST_UPLOAD_ROWS=50000 $(DEV) python -m pytest -m "not gpu" tests/e2e/test_killed_upload.py

bench: ## the benchmarks of bench/
	@$(DEV) python -m bench

train: ## the demo checkpoint from nothing: hours; goes on where it stopped
	@$(DEV) python -m demo.train

clean: ## remove the environment, caches, data and pictures of this checkout
	rm -rf .venv .factory out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
