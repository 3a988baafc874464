#!/usr/bin/env bash
# What an Airflow of docker-compose.yaml needs once: database, pool, logins, buckets. Safe to run at every start.
set -euo pipefail
airflow db migrate
airflow pools set gpu 1 "One training at a time on a GPU"
python "$(dirname "$0")/make_buckets.py"
umask 077
python - > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE" <<'PYTHON'
import json, os
print(json.dumps({login: os.environ[f"AIRFLOW_{login.upper()}_PASSWORD"] for login in ("admin", "viewer")}))
PYTHON
