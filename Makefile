# Everything one does with a clone of Hansa; `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PORT ?= 8000
DATA ?= ./data
ARGS ?=
SEEDS ?= 1000

# So many tests run at once, and no more of them than there are cores: each process has servers of its own.
PROCESSES ?= 4

# The first Python that is new enough; PYTHON=… chooses another one.
PYTHON = $(shell for name in python3 python3.11 python3.12 python3.13; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

PIP_INSTALL := .venv/bin/pip install --quiet --disable-pip-version-check --no-input
EDITABLE := --no-build-isolation --no-deps --editable .

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: .venv/.runtime ## run the shop [PORT=8000] [DATA=./data]
	@HANSA_PORT="$(PORT)" HANSA_DATA="$(DATA)" exec .venv/bin/hansa demo

.PHONY: test
test: .venv/.dev ## run all tests [ARGS='tests/kernel -k money']; HANSA_NO_SKIPS=1 makes a skip a failure
	@tests/install-servers
	@.venv/bin/pytest --numprocesses=logical --maxprocesses=$(PROCESSES) $(ARGS)

.PHONY: simulate
simulate: .venv/.dev ## the whole shop, simulated [SEEDS=1000 or FROM-TO] [ARGS='--seed 13 --shrink']
	@.venv/bin/python -m tests.simulation --seeds $(SEEDS) --all-states $(ARGS)

.PHONY: chaos
chaos: .venv/.dev ## the real shop under fire for ten minutes [ARGS='--seconds 60 --seed 7 --database postgres']
	@tests/install-servers
	@.venv/bin/python -m tests.chaos $(ARGS)

.PHONY: chaos-messages
chaos-messages: .venv/.dev ## 20,000 orders through every broker while everything dies [ARGS='--broker kafka --seed 7']
	@tests/install-servers
	@.venv/bin/python -m tests.chaos.messages $(ARGS)

.PHONY: chaos-cache
chaos-cache: .venv/.dev ## processes that share Redis or Memcached under fire [ARGS='--seed 7']
	@tests/install-servers
	@.venv/bin/python -m tests.chaos.cache $(ARGS)

.PHONY: relevance
relevance: .venv/.dev ## how good searches are (NDCG@10), beside plain BM25 [ARGS=-v]
	@.venv/bin/python -m bench.relevance $(ARGS)

.PHONY: bench
bench: .venv/.dev ## speed beside nginx and pgbench, in less than 15 minutes [ARGS='--long' or '--only reads,orders']
	@tests/install-servers
	@.venv/bin/python -m bench $(ARGS)

.PHONY: bench-quick
bench-quick: .venv/.dev ## the same in about a minute: once, and little of everything
	@tests/install-servers
	@.venv/bin/python -m bench --quick $(ARGS)

.PHONY: check
check: .venv/.dev ## style, types and arrows, in less than a minute
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: format
format: .venv/.dev ## put the source into shape
	.venv/bin/ruff check --fix-only --quiet .
	.venv/bin/ruff format .

.PHONY: screenshots
screenshots: .venv/.dev ## pictures of every page in build/screenshots, and those of the README anew
	@tests/install-servers
	@.venv/bin/python -m tests.browser.screenshots build/screenshots --chosen docs/screenshots

.PHONY: docs
docs: .venv/.runtime ## write anew what docs say of settings and events, from the source
	@env -u HANSA_CONFIG .venv/bin/hansa settings > docs/configuration.md.new
	@env -u HANSA_CONFIG .venv/bin/hansa events --format markdown > docs/events.md.new
	@env -u HANSA_CONFIG .venv/bin/hansa events > docs/asyncapi.json.new
	@for file in configuration.md events.md asyncapi.json; do mv docs/$$file.new docs/$$file; done

.PHONY: lock
lock: ## lock the requirements anew [ARGS=--upgrade]
	@PYTHON="$(PYTHON)" requirements/lock $(ARGS)

.PHONY: clean
clean: ## remove the virtual environment and what tools left behind (not the shop's data)
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The two stamps say which locks the environment holds. dev.txt contains runtime.txt, version for version.
.venv/bin/python:
	@PYTHON="$(PYTHON)" requirements/venv

.venv/.runtime: requirements/runtime.txt pyproject.toml | .venv/bin/python
	@echo 'Installing what Hansa needs into .venv ...'
	@$(PIP_INSTALL) --require-hashes --requirement requirements/runtime.txt
	@$(PIP_INSTALL) $(EDITABLE)
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	@echo 'Installing what Hansa and its tests need into .venv ...'
	@$(PIP_INSTALL) --require-hashes --requirement requirements/dev.txt
	@$(PIP_INSTALL) $(EDITABLE)
	@touch $@
