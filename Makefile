# make demo   environment, sample dataset, one complete DAG run to a verdict
# make test   the test suite (what CI runs); make test-all adds the slow ones
# make ui     Airflow in the browser with the sample dataset
# make stack  the installation of docker-compose.yaml without Docker (Postgres and Redis must be there)
# make lint   ruff, mypy, import contracts, bandit, and a search for secrets
# make audit  known weaknesses of what requirements/ pins (asks the package index)
# make lock   resolve and hash requirements/ again
# make env    .env with fresh secrets, for docker-compose.yaml

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One test process a core, up to four: each holds a TensorFlow. The tests of a file stay together, with what they share.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: setup demo test test-all lint audit ui stack lock env clean

setup: $(READY)

$(READY): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@scripts/setup.sh $(VENV)
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

ui: setup
	@$(BIN)/python scripts/ui.py

stack: setup
	@$(BIN)/python scripts/stack.py

test: setup
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-all: test
	@$(BIN)/python -m pytest -m slow

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet -ll --recursive steel_training plugins dags
	@git ls-files -z ':!tests/stores/schema-*' | xargs -0 $(BIN)/detect-secrets-hook

audit: setup
	@$(BIN)/pip-audit --requirement requirements/dev.txt --require-hashes --disable-pip

lock:
	@scripts/lock.sh

env:
	@python3 scripts/make_env.py

clean:
	rm -rf $(VENV) var
