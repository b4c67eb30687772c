# Two commands to start with: `make` builds, grades the sample class and prints the grade table; `make test` tests.
# One chapter only: make grade CHAPTER=ch01_quantization. Another Python: make PYTHON=python3.12.

PYTHON  ?= python3
CHAPTER ?=
PORT    ?= 8888
PY      := .venv/bin/python
NAMES   := $(notdir $(patsubst %/,%,$(wildcard source/ch*/)))
STEP    := $(PY) -m autograder

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SECONDARY:
.PHONY: all test lab source release grade feedback report results publish demo site bench pictures tinygpt colab lint format clean
# Each step says what failed and what to do; make's own lines are kept short.
MAKEFLAGS += --no-print-directory

all: $(NAMES:%=.make/%.feedback)
	@$(STEP) report

## Set-up: .venv with the pinned versions; again only when they change.
.make/ready: pyproject.toml constraints.txt
	@mkdir -p .make
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "make: $(PYTHON) is not Python 3.10 to 3.13; name one that is: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) system PACKAGE=python3-venv
	@command -v bwrap >/dev/null || $(MAKE) system PACKAGE=bubblewrap || true
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null && exit; done; \
	  [ "$$(uname)" = Darwin ] || $(MAKE) system PACKAGE=chromium || true
	@[ -x $(PY) ] || { echo "setting up .venv (about two minutes) ..."; $(PYTHON) -m venv .venv; } || \
	  { echo "make: no virtual environment in $(CURDIR)/.venv: check that the folder can be written" >&2; exit 2; }
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' || \
	  { echo "make: pip could not install what constraints.txt names; see its last lines above" >&2; exit 2; }
	@touch $@

.PHONY: system
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(PACKAGE) >/dev/null; \
	else echo "make: $(PACKAGE) is missing; type: sudo apt-get install $(PACKAGE)" >&2; exit 2; fi

## The pipeline that `make` follows; a step runs again when what it reads has changed.
.make/source: .make/ready $(wildcard source/*/*.py autograder/authoring/build.py autograder/authoring/chapters.py course/check.py)
	@$(STEP) source
	@touch $@

.make/%.released: .make/source $$(wildcard source/$$*/$$*.ipynb) nbgrader_config.py autograder/authoring/setup_cell.txt
	@[ ! -f $@ ] || [ -n "$(filter-out .make/source,$?)" ] || { touch $@; exit 0; }; $(STEP) release $* && touch $@

.make/%.graded: .make/%.released $$(wildcard submitted/*/$$*/*.ipynb) $$(wildcard autograder/authoring/bank/*.py) autograder/authoring/sample_class.py
	@$(STEP) sample $*
	@echo "grading $* ..."
	@$(STEP) grade $*
	@touch $@

.make/%.feedback: .make/%.graded
	@$(STEP) feedback $*
	@touch $@

## The single steps, by hand.
source release grade feedback: .make/ready
	@$(STEP) $@ $(CHAPTER)

report results: .make/ready
	@$(STEP) $@

# Learners' part for a class, in a folder of its own: make publish TO=../my-class
publish: .make/ready
	@$(STEP) publish "$(TO)"

lab: .make/ready
	@$(STEP) lab $(PORT)

# The live figures for the projector. Other machines may look as well with ADDRESS=0.0.0.0.
ADDRESS   ?= 127.0.0.1
DEMO_PORT := $(if $(filter file,$(origin PORT)),8866,$(PORT))
demo: .make/ready
	@$(STEP) demo $(CHAPTER) --port $(DEMO_PORT) --host $(ADDRESS)

# The chapters as static pages, in site/.
site: $(NAMES:%=.make/%.released)
	@$(STEP) site $(CHAPTER)

## For developers.
# Colab's versions, which tests/showing/test_colab.py runs the chapters with.
.make/colab: .make/ready tests/colab.txt tests/colab.py
	@echo "setting up Colab's versions in .make/colab-venv (a minute) ..."
	@$(PY) tests/colab.py && touch $@

colab: .make/colab

test: .make/ready .make/colab lint
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .make/ready
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

format: .make/ready
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .

bench: .make/ready
	@$(PY) -m autograder.measuring.bench

pictures: .make/ch01_quantization.feedback
	@$(STEP) pictures

tinygpt: .make/ready
	@$(PY) -m course.tinygpt

clean:
	@[ ! -x $(PY) ] || $(STEP) unsample
	@rm -rf .venv .make site build *.egg-info .pytest_cache .ruff_cache
