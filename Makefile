# Piston: the two commands are `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready
DBT := $(BIN)/dbt --quiet parse --project-dir dbt_project --profiles-dir dbt_project

.PHONY: help install demo up test test-long bench docs check format down lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## the environment .venv, exactly as locked

# uv does the work; pip only brings uv itself, by its hash from the same lock.
$(READY): requirements/lock.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on this machine; install Python 3.11 or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "make: $(PYTHON) has no venv module; on Debian: apt-get install python3.11-venv" >&2; exit 1; }
	@sed -n '/^uv==/,/# via/p' requirements/lock.txt > .venv/uv.txt
	@test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@echo "environment: installing what requirements/lock.txt pins"
	@$(BIN)/uv pip sync -q --compile-bytecode --require-hashes --python $(BIN)/python requirements/lock.txt
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

demo: $(READY) ## from nothing to the running system on real drives, then a summary
	@$(BIN)/piston demo

up: $(READY) ## servers, schema and services, without data
	@$(BIN)/piston up --services

down: ## stop everything that this stack started
	@if [ -x $(BIN)/piston ]; then $(BIN)/piston down; else echo "nothing is installed, nothing runs"; fi

# Two at once, each with servers of its own; a file's tests stay together, because they share what they set up.
HALVES := --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(READY) ## every test, on real servers that the tests start and stop themselves
	@$(BIN)/pytest -m "not slow" $(HALVES)

test-long: $(READY) ## also the tests that replay whole recordings, and fifty rounds of kill -9
	@$(BIN)/pytest $(HALVES)

BENCHES := decode gateway sink live end-to-end search warehouse storage
bench: $(READY) ## measure everything on this machine (30 minutes, best left alone), then write docs/performance.md
	@mkdir -p docs/performance
	@for name in $(BENCHES); do echo "piston bench $$name"; \
	  $(BIN)/piston bench $$name --json > docs/performance/$$name.json.new && \
	  mv docs/performance/$$name.json.new docs/performance/$$name.json; done
	@$(BIN)/python -m benchmarks.page

docs: $(READY) ## the dbt documentation with lineage, below dbt_project/target/docs (needs the running stack)
	@for target in timescale clickhouse; do \
	  $(BIN)/dbt --quiet docs generate --static --project-dir dbt_project --profiles-dir dbt_project \
	    --target $$target --target-path target/docs/$$target && \
	  echo "dbt_project/target/docs/$$target/static_index.html"; done

check: $(READY) ## everything that can be said without running it
	@$(BIN)/ruff format --check --quiet . && echo "format: ok"
	@$(BIN)/ruff check --quiet . && echo "ruff: ok"
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo | tail -n 3
	@$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 dbt_project
	@$(DBT) --target timescale && echo "dbt parse timescale: ok"
	@$(DBT) --target clickhouse && echo "dbt parse clickhouse: ok"

format: $(READY) ## put the code into shape
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

lock: $(READY) ## resolve requirements/piston.in anew
	@$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header requirements/piston.in -o requirements/lock.txt

clean: ## remove what was built in the clone; data folders stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dbt_project/target
