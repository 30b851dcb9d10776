# `make demo` and `make test` set everything up by themselves, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN := runs/demo
MAIN := $(BIN)/python main.py --run-dir $(RUN)

.PHONY: help setup demo test long clean

help:
	@echo "make demo   train and test on MNIST on a software board; results in $(RUN)"
	@echo "make test   lint, types and tests"
	@echo "make long   the tests that take minutes"
	@echo "make setup  only what the others do first: $(VENV) with everything installed"
	@echo "make clean  remove $(VENV), builds and caches (never results)"

setup: $(STAMP)

# Installed again only when the packaging or the C sources change.
$(STAMP): setup.py pyproject.toml $(wildcard hardware/emulator/csrc/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: $(PYTHON) is older than 3.10 (name another: make PYTHON=python3.12 ...)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "error: $(PYTHON) cannot make virtual environments;" \
		"on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@command -v "$${CC:-cc}" >/dev/null || \
		{ echo "error: no C compiler; on Debian and Ubuntu: apt-get install gcc python3-dev"; exit 1; }
	@echo "setting up $(VENV), once; this takes a few minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $(STAMP)

demo: setup
	@echo "1/4 data"
	@$(MAIN) --mode loaddata
	@echo "2/4 learning the kernels of layer 1"
	@$(MAIN) --mode training --layer 1
	@echo "3/4 fitting the read-out"
	@$(MAIN) --mode training --layer svm
	@echo "4/4 testing"
	@$(MAIN) --mode testing
	@$(MAIN) --mode info

test: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pip check
	@$(BIN)/python -m pytest

long: setup
	@$(BIN)/python -m pytest -m long

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find hardware spikingconvnet tests -name __pycache__ -prune -exec rm -rf {} +
	find hardware -name '*.so' -delete
