#!/usr/bin/env bash
# Resolves every requirement once for Python 3.11 to 3.13, with hashes and without index addresses.
# dev.txt is the whole; the images' files are cut from the same resolution, so that they cannot disagree.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="make lock"
compile() {
  uv pip compile "$@" --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate
}
compile pyproject.toml --extra airflow --extra dev --output-file requirements/dev.txt
compile requirements/bootstrap.in --constraint requirements/dev.txt --output-file requirements/bootstrap.txt
compile pyproject.toml --extra airflow --constraint requirements/dev.txt --output-file requirements/worker.txt
compile pyproject.toml --extra airflow --extra gpu --constraint requirements/dev.txt --output-file requirements/gpu-worker.txt
compile requirements/orchestrator.in --constraint requirements/dev.txt --output-file requirements/orchestrator.txt
