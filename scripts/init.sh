#!/usr/bin/env bash
# What an Airflow of docker-compose.yaml needs once: database, pool, login. Safe to run at every start.
set -euo pipefail
airflow db migrate
airflow pools set gpu 1 "One training at a time on a GPU"
umask 077
python - > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE" <<'PYTHON'
import json, os
print(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
PYTHON
