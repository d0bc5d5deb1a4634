# `make` alone lists the targets. They need Python 3.11 or newer and nothing else.

BIN := .venv/bin
EXTRAS ?= dev
TOUR ?= --set networks=1
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.2

.PHONY: help env tour test test-all test-oldest quick check bench docs site

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

env: .venv/.has-$(EXTRAS)  ## build .venv, nothing else (EXTRAS=dev,bench adds PyTorch)

# the stamp makes the second time start at once; a change of pyproject.toml installs again
.venv/.has-$(EXTRAS): pyproject.toml
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "slowpoint needs Python 3.11 or newer; found: $$(python3 --version 2>&1)." >&2; \
	  echo "Install one so that 'python3.11 --version' answers, then type: make env" >&2; \
	  exit 2; \
	fi; \
	set -ex; \
	if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $$python .venv; \
	  uv pip install --quiet --python $(BIN)/python --editable '.[$(EXTRAS)]'; \
	else \
	  $$python -m venv .venv; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'; \
	fi
	@touch $@

tour: env  ## train a memory, find its points, write the report (minutes)
	@$(BIN)/slowpoint run flipflop_memory $(TOUR); code=$$?; \
	if [ $$code -le 1 ]; then echo "Report: runs/flipflop_memory/report.html"; fi; exit $$code

test: env  ## the tests (the documentation's own are in `make docs`)
	$(BIN)/pytest -n 2 --ignore=tests/test_docs.py

test-all: env  ## the tests, also the slow ones
	$(BIN)/pytest -n 2 --slow

# what the dependencies of each kind are tried on: JAX, PyTorch files, NWB, contours, BibTeX
SMOKE := tests/test_core.py tests/test_weights.py tests/test_spikes.py tests/test_contours.py tests/test_cite.py
OLDEST := .cache/oldest

test-oldest: env  ## a small part of the tests, on the lowest versions that are allowed
	@set -e; uv=$$(command -v uv || echo $(BIN)/uv); \
	[ -x "$$uv" ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	"$$uv" venv --quiet --clear --python 3.11 $(OLDEST); \
	"$$uv" pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct \
	  --editable '.[dev]'
	$(OLDEST)/bin/slowpoint doctor
	$(OLDEST)/bin/slowpoint run bistable_points --quick --out $(OLDEST)/runs
	$(OLDEST)/bin/pytest -n 2 -o filterwarnings=default $(SMOKE)

quick: env  ## every experiment in its small setting, with its claims and its time
	$(BIN)/python tests/run_quick.py

check: env  ## format, lint, types, who may import whom
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: env  ## how fast, as ratios against named alternatives
	@if ! $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  echo "Some rows compare with PyTorch, which is not there. Type: make bench EXTRAS=dev,bench" >&2; \
	fi
	@set -e; for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file; done

docs: env  ## run the code of README and docs, check their links
	$(BIN)/pytest -n 2 tests/test_docs.py

SITE := docs/_build

site: env  ## pages, gallery (pictures after `make quick`) and API as a site in docs/_build/html
	@$(BIN)/python docs/site/assemble.py $(SITE)/pages
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -c docs/site $(SITE)/pages $(SITE)/html
	@echo $(SITE)/html/index.html
