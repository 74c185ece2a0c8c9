# make demo, make test: everything on a fresh machine with Python 3.11, pip, make and gcc.
PYTHON ?= python3.11
# options of pytest: TESTS="-x -k report", or TESTS="-n 0" for one process instead of one a core
TESTS ?=
VENV ?= .venv
BIN := $(VENV)/bin
# torch first and pinned: any other specifier may pull gigabytes of CUDA libraries
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check lint fuzz bench docs wheel locked clean

$(VENV)/core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	@echo "installing torch (about a minute)"
	$(INSTALL) "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	@echo "installing earwitness"
	$(INSTALL) --editable .
	touch $@

$(VENV)/dev: $(VENV)/core
	@echo "installing what the tests need"
	$(INSTALL) --editable '.[dev]'
	touch $@

demo: $(VENV)/core
	$(BIN)/earwitness demo --out demo

test: $(VENV)/dev
	$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=8 $(TESTS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

$(VENV)/fuzz: $(VENV)/dev
	@echo "installing what fuzzing needs"
	$(INSTALL) --editable '.[fuzz]'
	touch $@

# 200 studies under faults, then hostile input for as long as one likes: SECONDS seconds for each kind of file, or for TARGETS="audio onnx"
SECONDS ?= 180
TARGETS ?=
fuzz: $(VENV)/fuzz
	EARWITNESS_FAULTS=200 $(BIN)/python -m pytest --quiet tests/test_faults.py
	$(BIN)/python tools/fuzz.py --seconds $(SECONDS) --out fuzz $(TARGETS)

$(VENV)/docs: $(VENV)/core
	@echo "installing what the documentation needs"
	$(INSTALL) --editable '.[docs]'
	touch $@

# everything that is measured, hours of it: what of it fits an evening is in benchmarks/*/README.md
bench: $(VENV)/dev
	$(BIN)/python -m benchmarks.cost --page
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.study
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.frontends
	$(BIN)/python -m benchmarks.precision
	$(BIN)/python -m benchmarks.evidence.robust

docs: $(VENV)/docs
	$(BIN)/mkdocs build
	@echo "$(CURDIR)/site/index.html"

wheel: $(VENV)/dev
	$(BIN)/python -m hatchling build --directory dist

# the environment of the tests with every file held against its digest; torch, whose build is another on each kind of
# machine, by its version alone
locked: requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(VENV)/core $(VENV)/dev $(VENV)/docs $(VENV)/fuzz

clean:
	rm -rf $(VENV) demo site fuzz .mypy_cache .ruff_cache .pytest_cache
