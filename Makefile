# make demo   environment, sample dataset, one complete DAG run to a verdict
# make test   the test suite (what CI runs); make test-slow the slow unit tests, which CI runs too; make test-all everything
# make ui     Airflow in the browser with the sample dataset
# make stack  the installation of docker-compose.yaml without Docker (Postgres and Redis must be there)
# make check  before a commit, mostly in less than 90 s: lint, and the tests of what changed since main (SINCE=HEAD: what is uncommitted)
# make lint   ruff, mypy, import contracts, bandit, and a search for secrets
# make audit  known weaknesses of what requirements/ pins (asks the package index)
# make lock   resolve and hash requirements/ again
# make env    .env with fresh secrets, for docker-compose.yaml

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One test process more than cores, up to four: some tests wait, and each process holds a TensorFlow. The tests of a file stay
# together, with what they share.
PARALLEL := --numprocesses $(shell echo $$(($$(nproc) < 4 ? $$(nproc) + 1 : 4))) --dist loadfile --no-loadscope-reorder

# Parts of `make lint` and `make check` run side by side; make prints the output of each when it ends, and names those that failed.
PARTS := $(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going
CHANGED := $(BIN)/python scripts/changed_tests.py $(if $(SINCE),--since $(SINCE))

.PHONY: setup demo test test-slow test-all check lint audit ui stack lock env clean
.PHONY: lint-types lint-contracts lint-ruff lint-bandit lint-secrets lint-changed-secrets test-changed

setup: $(READY)

$(READY): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@scripts/setup.sh $(VENV)
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

ui: setup
	@$(BIN)/python scripts/ui.py

stack: setup
	@PYTHONPATH=$(CURDIR)/tests/integration $(BIN)/python scripts/stack.py

test: setup
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-slow: setup
	@$(BIN)/python -m pytest -m slow tests/unit $(PARALLEL)

test-all: test
	@$(BIN)/python -m pytest -m slow

check: setup
	@$(PARTS) test-changed lint-types lint-contracts lint-ruff lint-changed-secrets

# The longest first.
lint: setup
	@$(PARTS) lint-types lint-secrets lint-bandit lint-contracts lint-ruff

lint-ruff:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

lint-types:
	@$(BIN)/mypy

lint-contracts:
	@$(BIN)/lint-imports

lint-bandit:
	@$(BIN)/bandit --quiet -ll --recursive steel_training plugins dags

lint-secrets:
	@git ls-files -z ':!tests/stores/schema-*' | xargs -0 --max-args=120 --max-procs=2 $(BIN)/detect-secrets-hook

lint-changed-secrets:
	@$(CHANGED) --files | grep -v '^tests/stores/schema-' | xargs --no-run-if-empty --delimiter='\n' $(BIN)/detect-secrets-hook

# Status 5: all tests of the changed files are slow ones.
test-changed:
	@tests=$$($(CHANGED)) && readarray -t tests <<< "$$tests" && \
	  { [ -z "$${tests[0]}" ] || $(BIN)/python -m pytest -m "not slow" "$${tests[@]}" || [ $$? -eq 5 ]; }

audit: setup
	@$(BIN)/pip-audit --requirement requirements/dev.txt --require-hashes --disable-pip

lock:
	@scripts/lock.sh

env:
	@python3 scripts/make_env.py

clean:
	rm -rf $(VENV) var
