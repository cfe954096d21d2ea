# Every target works in a fresh clone with Python 3.11 or later: it makes .venv, installs what it needs there, and runs.
# The first interpreter that runs and is new enough (a pyenv shim may exist and not run).
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
AGC_ARGS ?=
NOTEBOOK_ARGS ?=

.PHONY: agc notebook test lint lint-rules lint-format lint-types doc-examples bench docs clean
.DEFAULT_GOAL := test

# One stamp an extra: an installation is repeated only when pyproject.toml changed.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or later with venv is needed: make PYTHON=/path/to/python' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

agc: $(VENV)/.installed-agc
	$(BIN)/python examples/agc/run.py $(AGC_ARGS)

# Runs the example's notebooks and writes them, with what they show, into docs/notebooks.
notebook: $(VENV)/.installed-notebook
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python examples/agc/render.py $(NOTEBOOK_ARGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: lint-rules lint-format lint-types

lint-rules lint-format lint-types: $(VENV)/.installed-test

lint-rules:
	$(BIN)/ruff check .

lint-format:
	$(BIN)/ruff format --check .

lint-types:
	$(BIN)/mypy

doc-examples: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/test_docs.py cachingclient $(PYTEST_ARGS)

bench: $(VENV)/.installed-test
	for script in benchmarks/[!_]*.py; do $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W -b html docs docs/_build

clean:
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache
