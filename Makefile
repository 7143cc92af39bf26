# Everything that a fresh machine needs: Python 3.11 or newer, and make. The rest is made here, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test slow bench check soak fuzz lock clean

help:
	@echo "make demo    run a simulated site and the bridge on it"
	@echo "make test    run all tests"
	@echo "make slow    run the tests against peers that are large to install"
	@echo "make check   lint and types"
	@echo "make bench   run all benchmarks and write docs/benchmarks.md"
	@echo "make soak    watch a simulated site of faults for 30 minutes"
	@echo "make fuzz    feed parsers with hostile bytes for 10 minutes"
	@echo "make lock    choose new versions of everything (.ci/*.lock)"
	@echo "make clean   remove what was made"

demo: $(VENV)/run.ok
	@$(BIN)/device-bridge demo $(ARGS)

test: $(VENV)/dev.ok check
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

slow: $(VENV)/dev.ok
	@$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/dev.ok
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/dev.ok
	@$(BIN)/python -m tests.benchmarks --all --write docs/benchmarks.md

soak: $(VENV)/dev.ok
	@$(BIN)/python -m tests.faults.soak $(ARGS)

fuzz: $(VENV)/dev.ok
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m fuzz --timeout=900 $(ARGS)

COMPILE := $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: $(VENV)/dev.ok
	@$(COMPILE) --output-file .ci/run.lock pyproject.toml
	@$(COMPILE) --extra dev --constraint .ci/run.lock --output-file .ci/dev.lock pyproject.toml
	@$(COMPILE) --output-file .ci/node.lock .ci/node.in

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis *.egg-info build tests/node/node_modules

# -- what the targets above stand on ------------------------------------------------------------------------------

$(VENV)/python.ok:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing. Install Python 3.11 or newer, or say make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $$($(PYTHON) --version) is too old: 3.11 or newer is needed. Say make PYTHON=python3.12, for one." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "make: Python cannot make an environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/run.ok: $(VENV)/python.ok pyproject.toml .ci/run.lock
	@echo "making the environment in $(VENV) ..."
	@$(PIP) install -r .ci/run.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/dev.ok: $(VENV)/run.ok .ci/dev.lock .ci/node.lock
	@echo "adding what the tests need ..."
	@$(PIP) install -r .ci/dev.lock
	@command -v npm >/dev/null || $(PIP) install -r .ci/node.lock
	@touch $@
