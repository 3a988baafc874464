#!/usr/bin/env bash
# Builds the virtual environment from the hashed requirements. Usage: scripts/setup.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

usable() { "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
python=
for candidate in ${PYTHON:-} python3 python3.12 python3.13 python3.11; do
  if usable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
  echo "Found no Python 3.11, 3.12 or 3.13 with the venv module (python3 is $(python3 --version 2>&1 || true))." >&2
  echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
  exit 2
fi

echo "setup: $($python --version), about 4 GB of packages into $venv (once)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
export UV_SYSTEM_CERTS=1  # a company's proxy has its certificate in the system's store
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
# Compiled here: where PYTHONDONTWRITEBYTECODE is set, every process would compile TensorFlow and Airflow anew (6 s of CPU).
VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip sync --quiet --compile-bytecode --require-hashes requirements/bootstrap.txt requirements/dev.txt
VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
echo "setup: done"
