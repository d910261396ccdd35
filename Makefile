PYTHON ?= python3
VENV := .venv
CONFIG ?= config/mail.yaml
STATE ?= ./state

.PHONY: run check clean

run: $(VENV)/.ready
	$(VENV)/bin/paperpath run --config $(CONFIG) --state $(STATE)

check: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -q tests/test_imports.py

$(VENV)/.ready: requirements/run.txt requirements/build.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/build.txt
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/run.txt
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements/dev.txt
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/dev.txt
	touch $@
