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
.PHONY: all test lab source release grade feedback report results giveback similar insight publish demo site bench pictures tinygpt colab lint format clean
# Each step says what failed and what to do; make's own lines are kept short.
MAKEFLAGS += --no-print-directory

all: .make/graded
	@$(STEP) report

## Set-up: .venv with the pinned versions; again only when they change.
.make/ready: pyproject.toml constraints.txt
	@mkdir -p .make
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "make: $(PYTHON) is not Python 3.10 to 3.13; name one that is: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) system PACKAGE=python3-venv
	@command -v bwrap >/dev/null || $(MAKE) system PACKAGE=bubblewrap || true
	@[ -x $(PY) ] || { echo "setting up .venv (about two minutes) ..."; $(PYTHON) -m venv .venv; } || \
	  { echo "make: no virtual environment in $(CURDIR)/.venv: check that the folder can be written" >&2; exit 2; }
	@$(PY) -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]' || \
	  { echo "make: pip could not install what constraints.txt names; see its last lines above" >&2; exit 2; }
	@$(PY) -m compileall -qq -j 0 .venv/lib || true # on all cores; pip would do it on one
	@touch $@

.PHONY: browser
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null && exit; done; \
	  [ "$$(uname)" = Darwin ] || $(MAKE) system PACKAGE=chromium || true

.PHONY: system
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(PACKAGE) >/dev/null; \
	else echo "make: $(PACKAGE) is missing; type: sudo apt-get install $(PACKAGE)" >&2; exit 2; fi

## The pipeline that `make` follows; a step runs again when what it reads has changed.
SOURCES  := $(foreach name,$(NAMES),source/$(name)/$(name).ipynb)
RELEASES := $(SOURCES:source/%=release/%)
# Of what changed the chapters; none, by which a step means all, where it is more than notebooks.
changed   = $(if $(filter-out %.ipynb,$?),,$(sort $(filter $(NAMES),$(subst /, ,$?))))

.make/source: .make/ready $(wildcard source/*/*.py autograder/authoring/build.py autograder/authoring/chapters.py course/check.py)
	@$(STEP) source
	@touch $@

$(SOURCES): .make/source ;

.make/released: $(SOURCES) nbgrader_config.py autograder/authoring/setup_cell.txt
	@$(STEP) release $(changed)
	@touch $@

$(RELEASES): .make/released ;

.make/graded: $(RELEASES) $(wildcard submitted/*/*/*.ipynb autograder/authoring/bank/*.py) autograder/authoring/sample_class.py
	@$(STEP) sample $(changed)
	@$(STEP) grade $(changed)
	@$(STEP) feedback $(changed)
	@touch $@

## The single steps, by hand.
source release grade feedback: .make/ready
	@$(STEP) $@ $(CHAPTER)

# A zip for Gradescope: make gradescope CHAPTER=ch01_quantization. Where its container allows no walls it grades nobody,
# or all the same with WITHOUT_WALLS="go on".
WITHOUT_WALLS ?= refuse
gradescope: .make/ready
	@$(STEP) gradescope $(CHAPTER) --without-walls "$(WITHOUT_WALLS)"

# Pairs of submissions that are alike beyond what the course explains.
similar: .make/ready
	@$(STEP) similar $(CHAPTER)

report results: .make/ready
	@$(STEP) $@ $(if $(DB),--db "$(DB)")

# Grade sheet and feedback pages for a learning platform: make giveback TO=canvas CHAPTER=ch01_quantization
giveback: .make/ready
	@$(STEP) $@ "$(TO)" $(CHAPTER) $(if $(DB),--db "$(DB)")

# What the class got wrong, by misconception: make insight, or make insight CHAPTER=ch01_quantization
insight: .make/ready
	@$(STEP) insight $(CHAPTER)

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
site: .make/released
	@$(STEP) site $(CHAPTER)

## For developers.
# Colab's versions, which tests/showing/test_colab.py runs the chapters with.
.make/colab: .make/ready tests/colab.txt tests/colab.py
	@echo "setting up Colab's versions in .make/colab-venv (a minute) ..."
	@$(PY) tests/colab.py && touch $@

colab: .make/colab

test: .make/ready .make/colab browser lint
	@$(PY) -m pytest -n 4 --no-loadscope-reorder

lint: .make/ready
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

format: .make/ready
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .

bench: .make/ready browser
	@$(PY) -m autograder.measuring.bench

pictures: .make/graded browser
	@$(STEP) pictures

tinygpt: .make/ready
	@$(PY) -m course.tinygpt

clean:
	@[ ! -x $(PY) ] || $(STEP) unsample
	@rm -rf .venv .make site build *.egg-info .pytest_cache .ruff_cache
