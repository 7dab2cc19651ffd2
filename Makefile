# Everything here works on a fresh clone: each target first installs what it needs (scripts/install).
.DEFAULT_GOAL := help
.PHONY: help demo cluster serve test sim fuzz lint bench lock clean
BIN := .venv/bin

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-7s %s\n", $$1, $$2 }'

demo:  ## Tocsin with a real Prometheus, Alertmanager and a faulty shop; Ctrl-C ends it
	@scripts/install demo
	@exec $(BIN)/tocsin demo

cluster:  ## the demo's shop on a cluster of processes: Kafka, PostgreSQL, two workers, two web processes
	@scripts/install test
	@exec $(BIN)/python -m scripts.cluster

serve:  ## Tocsin alone, on ./tocsin.yaml if there is one
	@scripts/install
	@exec $(BIN)/tocsin serve

test:  ## every test, against real servers
	@scripts/install test
	$(BIN)/python -m pytest

sim:  ## a simulated history with every fault: make sim SEED=7 (SEEDS=1000 for so many from there on)
	@scripts/install
	$(BIN)/python -m tests.simulation --seed $(or $(SEED),1) --seeds $(or $(SEEDS),1)

fuzz:  ## every parser against bytes that a fuzzer makes up: make fuzz SECONDS=60 (for each)
	@scripts/install
	@scripts/fuzz $(or $(SECONDS),60)

lint:  ## style, types, arrows between the rooms, budgets
	@scripts/install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/tidy

bench:  ## benchmarks: figures as JSON lines, no verdict
	@scripts/install test
	$(BIN)/python -m bench

lock:  ## requirements.lock anew from pyproject.toml
	@scripts/lock

clean:  ## remove what the tools and the demo wrote; .venv and var/tocsin.db stay
	rm -rf var/demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
