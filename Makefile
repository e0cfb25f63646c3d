# Every target prepares what it needs by itself and is quick when that is done.
# Needs: Python 3.11+, make (and git to get here). Nothing else, no root.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed
DEVELOPMENT := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --constraint constraints.txt
ARGS ?=

# The first interpreter that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)

.PHONY: help setup setup-dev demo test up lint bench drill

help:
	@echo "make demo    a backfill of real prices through the whole machine, nothing needed (3 minutes)"
	@echo "make up      keep it running: web, workers, beat, Flower"
	@echo "make test    the whole suite, against real PostgreSQL and Valkey"
	@echo "make setup   prepare $(VENV); then $(BIN)/mdc is the command"
	@echo "make lint | bench | drill"

setup: $(RUNTIME)
	@echo "Ready: $(BIN)/mdc --help"

setup-dev: $(DEVELOPMENT)

demo: $(RUNTIME)
	@$(BIN)/mdc demo $(ARGS)

up: $(RUNTIME)
	@$(BIN)/mdc up $(ARGS)

# Hundreds of processes start: none of them shall compile anew where Python may not write bytecode.
test: $(DEVELOPMENT)
	@$(BIN)/python -m compileall -q mdc ingestion providers
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
else
	$(BIN)/python -m pytest $(ARGS)
endif

drill: $(DEVELOPMENT)
	$(BIN)/python -m pytest -m drill $(ARGS)

bench: $(BENCH)
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	MDC_BEHIND_TLS=1 $(BIN)/python manage.py check --deploy --fail-level WARNING

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "mdc needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This Python cannot make virtual environments: on Debian and Ubuntu install python3-venv." >&2; exit 1; }

$(RUNTIME): $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing mdc and its pinned dependencies into $(VENV) (a minute the first time) ..."
	@$(PIP) --editable .
	@touch $@

$(DEVELOPMENT): $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing mdc, its pinned dependencies and the development tools into $(VENV) ..."
	@$(PIP) --editable '.[dev]'
	@touch $(RUNTIME) $@

$(BENCH): $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing mdc and the tools it is measured against into $(VENV) ..."
	@$(PIP) --editable '.[bench]'
	@touch $(RUNTIME) $@
