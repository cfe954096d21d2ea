# Every target works in a fresh clone with Python 3.11 or later: it makes .venv, installs what it needs there, and runs.
# The first interpreter that runs and is new enough (a pyenv shim may exist and not run).
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
AGC_ARGS ?=
NOTEBOOK_ARGS ?=
UPSTREAM_ARGS ?=
# Tests mostly wait, for processes that start: two at a time, each file in one process (conftest.py). WORKERS=0 is one.
WORKERS ?= 2

.PHONY: agc notebook package test matrix slow lint lint-rules lint-format lint-types lint-imports doc-examples bench upstream docs clean
.DEFAULT_GOAL := test

# One stamp an extra: an installation is repeated only when pyproject.toml changed.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or later with venv is needed: make PYTHON=/path/to/python' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

agc: $(VENV)/.installed-agc
	$(BIN)/python benchmarks/agc/run.py $(AGC_ARGS)

# Runs the example's notebooks and writes them, with what they show, into docs/notebooks.
notebook: $(VENV)/.installed-notebook
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/notebooks/render.py $(NOTEBOOK_ARGS)

test: $(VENV)/.installed-test
	@$(BIN)/python -m compileall -q cachingclient tests examples benchmarks  # once, not in each of thousands of processes
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

# The client's tests on every release of dask that the package is said to run on, each in an environment of its own.
matrix: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m matrix tests/older $(PYTEST_ARGS)

# What a plain run of the tests leaves out, some hours in all: other releases of dask, ROOT, a gateway, a DIRAC 9 server;
# and the longer runs of what is random or killed.
slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "matrix or dirac9" tests $(PYTEST_ARGS)
	HYPOTHESIS_EXAMPLES=20000 $(BIN)/python -m pytest tests/trust/test_fuzz.py
	for store in file s3 root rucio; do $(BIN)/python -m tests.faults --store $$store --count 100 || exit 1; done

lint: lint-rules lint-format lint-types lint-imports

lint-rules lint-format lint-types lint-imports: $(VENV)/.installed-test

lint-rules:
	$(BIN)/ruff check .

lint-format:
	$(BIN)/ruff format --check .

lint-types:
	$(BIN)/mypy

# Who may import whom: the contracts stand in pyproject.toml.
lint-imports:
	$(BIN)/lint-imports

doc-examples: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/test_docs.py cachingclient $(PYTEST_ARGS)

bench: $(VENV)/.installed-test
	for script in benchmarks/[!_]*.py benchmarks/agc/gains.py benchmarks/peers/measure.py; do $(BIN)/python $$script || exit 1; done

# Upstream's own tests with the client exchanged: DISTRIBUTED is a checkout of the release that is installed; dask's and
# coffea's come from their source distributions (UPSTREAM_ARGS='--project dask').
upstream: $(VENV)/.installed-test
	$(BIN)/python -m tests.upstream.run $(if $(DISTRIBUTED),--distributed '$(DISTRIBUTED)') $(UPSTREAM_ARGS)

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W -b html docs docs/_build

# The source distribution, the wheel that is built from it, and a run with nothing of this folder but that wheel.
package: $(VENV)/.installed-test
	rm -rf dist
	$(BIN)/python -m uv build --quiet --out-dir dist .
	$(BIN)/python -m uv venv --quiet --python $(BIN)/python dist/venv
	$(BIN)/python -m uv pip install --quiet --python dist/venv/bin/python dist/*.whl
	cp tests/smoke.py dist/venv && cd dist/venv && bin/python -I smoke.py

clean:
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache
