# `make` lists the targets. VENV and PYTHON may be given: make test VENV=/tmp/env PYTHON=python3.12
VENV ?= .venv
PYTHON ?= python3

BIN := $(VENV)/bin
# A stamp says that this extra has been installed since pyproject.toml last changed.
TRAIN_READY := $(VENV)/.tilewright-train
DEV_READY := $(VENV)/.tilewright-dev
BENCH_READY := $(VENV)/.tilewright-bench
# -qq: errors still show; notes about mirrors and new versions don't.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# One thread for BLAS in each test process: pytest already starts as many processes as there are cores.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo bench test check format-check lint types layering fmt examples docs pages gallery clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(DEV_READY)  ## make the virtual environment, with everything development needs

demo: $(TRAIN_READY)  ## train a network on 1,797 real digits and draw what it learnt (runs/demo)
	@$(BIN)/tilewright train digits --out runs/demo --seed 0 --overwrite

# BENCH: options of `tilewright bench`, for example make bench BENCH='--quick'; OUT: where the tables go.
OUT ?= runs/bench
bench: $(BENCH_READY)  ## measure against PyTorch, ONNX Runtime and others (runs/bench; a quarter of an hour)
	@$(BIN)/tilewright bench --out $(OUT) $(BENCH)

test: $(DEV_READY)  ## run the tests on all cores
	@$(PYTEST) -n auto

check: format-check lint types layering test  ## all that must pass before a change is merged

format-check: $(DEV_READY)  ## is the code formatted?
	@$(BIN)/ruff format --check --quiet . || { echo "The files above aren't formatted: make fmt"; exit 1; }

lint: $(DEV_READY)  ## ruff's rules
	@$(BIN)/ruff check --quiet .

types: $(DEV_READY)  ## mypy, strict
	@$(BIN)/python -m mypy

layering: $(DEV_READY)  ## do imports point only to rooms further left?
	@$(PYTEST) -q tests/test_layering.py

fmt: $(DEV_READY)  ## format the code and mend what ruff can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

examples: $(DEV_READY)  ## run every script under examples/, without a window
	@for script in $(sort $(wildcard examples/*.py)); do \
	  echo "$$script"; MPLBACKEND=Agg $(BIN)/python $$script || exit 1; \
	done

# The theme's makers announce their other programs on standard error; these two keep them quiet.
docs: export NO_MKDOCS_2_WARNING = 1
docs: export DISABLE_MKDOCS_2_WARNING = true
docs: $(DEV_READY)  ## build the documentation's site (site/index.html), without the network
	@$(BIN)/python -m mkdocs build --strict --quiet

# The comparison with PyTorch needs it installed, and leaves its lists as they are where it isn't.
pages: $(DEV_READY)  ## write the parts of docs/ anew that are read from the code
	@$(BIN)/python tools/errors_page.py
	@$(BIN)/python tools/pytorch_page.py

gallery: $(DEV_READY)  ## draw every picture of docs/gallery.md anew (TILEWRIGHT_DATA names the photographs)
	@$(BIN)/python tools/gallery.py

clean:  ## remove caches, built packages and the site (runs/ and the virtual environment stay)
	@rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find src tests examples -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# -- setting up ------------------------------------------------------------------------------------------

# Without pip at first: some systems ship a `venv` that can't add it, and would leave half an environment.
$(BIN)/python:
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "There is no working '$(PYTHON)' here: install Python 3.11 or newer, or name one: make PYTHON=..."; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Tilewright needs Python 3.11 or newer, and this is $$($(PYTHON) --version 2>&1): name a newer one: make PYTHON=..."; \
	  exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@said=$$($(PYTHON) -m venv --without-pip $(VENV) 2>&1) || uv venv --quiet --python $(PYTHON) $(VENV) 2>/dev/null || { \
	  echo "$$said"; \
	  echo "$(PYTHON) can't make a virtual environment in $(VENV); on Debian or Ubuntu: apt install python3-venv"; \
	  exit 1; }

# The first of these that works brings pip: the environment's own, Python's bundled copy, another pip, uv.
define bring-pip
$(BIN)/python -m pip --version >/dev/null 2>&1 \
  || $(BIN)/python -m ensurepip >/dev/null 2>&1 \
  || $(PYTHON) -m pip --python $(BIN)/python install -qq pip >/dev/null 2>&1 \
  || uv pip install --quiet --python $(BIN)/python pip 2>/dev/null \
  || { echo "No pip can be brought into $(VENV); on Debian or Ubuntu: apt install python3-venv"; exit 1; }
endef

$(TRAIN_READY): pyproject.toml | $(BIN)/python
	@$(bring-pip)
	@echo "Installing what training needs into $(VENV) (once; about a minute)"
	@$(PIP) install --editable '.[train]'
	@touch $@

# `dev` holds all that `train` does, so it stands for both.
$(DEV_READY): pyproject.toml | $(BIN)/python
	@$(bring-pip)
	@echo "Installing what development needs into $(VENV) (once; a minute or two)"
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(TRAIN_READY)

# PyTorch exactly as the tests compare with it.
$(BENCH_READY): pyproject.toml | $(BIN)/python
	@$(bring-pip)
	@echo "Installing PyTorch, ONNX Runtime, OpenCV and SciPy into $(VENV) (once; a few minutes)"
	@$(PIP) install --editable '.[bench]' torch==2.13.0
	@touch $@
