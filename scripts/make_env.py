"""`make env`: writes `.env` for docker-compose.yaml from `.env.example`, with new secrets for this installation.

An existing `.env` is not changed: new secrets would lock out the database and every stored connection.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SECRETS: dict[str, Callable[[], str]] = {
    "AIRFLOW_JWT_SECRET": lambda: secrets.token_hex(32),
    "AIRFLOW_API_SECRET": lambda: secrets.token_hex(32),
    "AIRFLOW_FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(24),  # part of a URL: no character that needs quoting
    "REDIS_PASSWORD": lambda: secrets.token_hex(24),
    "AIRFLOW_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
    "AIRFLOW_VIEWER_PASSWORD": lambda: secrets.token_urlsafe(12),
    "AWS_ACCESS_KEY_ID": lambda: secrets.token_hex(10),
    "AWS_SECRET_ACCESS_KEY": lambda: secrets.token_hex(20),
}


def filled(example: str) -> str:
    """Return the example with a fresh value behind every empty secret."""
    lines = []
    for line in example.splitlines():
        name, _, value = line.partition("=")
        lines.append(f"{name}={SECRETS[name]()}" if name in SECRETS and not value else line)
    return "\n".join(lines) + "\n"


def main(root: Path = ROOT) -> int:
    """Write the file, readable by its owner only."""
    target = root / ".env"
    text = filled((root / ".env.example").read_text(encoding="utf-8"))
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{target} exists and was left as it is; remove it first for new secrets.", file=sys.stderr)
        return 1
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{target} written. Check it, then: docker compose --profile cpu (or gpu) up --detach")
    return 0


if __name__ == "__main__":
    sys.exit(main())
