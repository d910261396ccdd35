# The verbs of this project; `make help` lists them.
PYTHON ?= python3
VENV := .venv
CONFIG ?= config/mail.yaml
STATE ?= ./state
SECONDS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run check test unit soak crash crash-power model faults fuzz lock clean

help:             ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

run: $(VENV)/.ready  ## the whole appliance in the foreground: CONFIG=config/mail.yaml STATE=./state
	@exec $(VENV)/bin/paperpath run --config $(CONFIG) --state $(STATE)

check: $(VENV)/.ready-dev  ## ruff, mypy, import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -q tests/test_imports.py tests/test_shape.py

test: packages check image  ## all tests, container tests included
	$(VENV)/bin/pytest

unit: $(VENV)/.ready-dev  ## the tests that need neither container nor minutes
	$(VENV)/bin/pytest -m "not container and not slow"

soak: SECONDS = 600
soak: $(VENV)/.ready-dev  ## mail from all sides, faulty next hosts, kills, changes; then an audit: SECONDS=600
	$(VENV)/bin/python tests/soak/soak.py --seconds $(SECONDS)

crash: $(VENV)/.ready-dev  ## a kill before every call of every program, one at a time: SHARE=0/1 (0/8: every eighth), a table, build/crash.json
	$(VENV)/bin/python tests/crash/crash_points.py --share $(or $(SHARE),0/1) --json build/crash.json
	$(if $(SHARE),,TESTS_SHARE=all $(VENV)/bin/pytest -q tests/crash/test_crash_mutants.py tests/queue/test_queue_kill_points.py)

model: $(VENV)/.ready-dev  ## the queue against its model, on every store: LIVES=1000 of 50 steps
	QUEUE_MODEL=$(or $(LIVES),1000),50 $(VENV)/bin/pytest -q tests/queue/test_queue_model.py

faults: $(VENV)/.ready-dev  ## every file and socket call fails once: MINUTES=15 at most, a table, build/faults.json
	TESTS_SHARE=all $(VENV)/bin/pytest -q tests/faults --ignore tests/faults/test_faults_calls.py
	$(VENV)/bin/python tests/faults/fault_run.py --minutes $(or $(MINUTES),15) --json build/faults.json

# user-mode-linux is for this proof only: it is installed here, where that may be done
crash-power: $(VENV)/.ready-dev  ## the power of a whole machine cut at every write: MESSAGES=60 PREFIXES=1500
	@test "$$(id -u)" != 0 || { command -v linux.uml && command -v insmod; } >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends user-mode-linux dmsetup kmod e2fsprogs iproute2 >/dev/null; }
	$(VENV)/bin/python tests/power/power_machine.py --messages $(or $(MESSAGES),60) --prefixes $(or $(PREFIXES),1500)

fuzz: $(VENV)/.ready-fuzz  ## every parser with inputs nobody thought of: SECONDS=2 each, TARGETS="smtp yaml" only these
	$(VENV)/bin/python tests/fuzz/fuzz.py --seconds $(SECONDS) $(TARGETS)

lock: $(VENV)/.ready-dev  ## pin the newest versions that requirements/*.in allow, with hashes
	$(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet pip-tools
	cd requirements && for name in run build dev bench fuzz audit; do ../build/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe \
	  --no-annotate --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --output-file $$name.txt $$name.in; done

clean:            ## remove what make made here (not the state)
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache

# Debian packages that tests use; installed only by root, only if something is missing
.PHONY: packages
packages:
	@bash .ci/packages

# a Debian machine has Python without ensurepip: say so, or mend it where we may
$(VENV)/.ready: requirements/run.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 && apt-get install -y -q --no-install-recommends python3-venv; } \
	  || { echo "python3 -m venv does not work here: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/build.txt
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/run.txt
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements/dev.txt
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# atheris has wheels for some versions of Python only; without it make fuzz mutates inputs by itself
$(VENV)/.ready-fuzz: $(VENV)/.ready-dev requirements/fuzz.txt
	$(VENV)/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/fuzz.txt \
	  || echo "atheris can't be had for this Python: not guided by coverage" >&2
	@touch $@

-include deploy/image.mk bench/bench.mk
