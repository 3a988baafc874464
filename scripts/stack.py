"""`make stack`: all services of docker-compose.yaml on this machine without Docker, until Ctrl-C.

For trying it out: a local Postgres (selected by libpq's variables), Redis, an S3 server in memory, Airflow with Celery
and one worker per queue, TensorBoard. Everything is bound to 127.0.0.1, and is removed at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date

from composed.stack import ROOT, NotReady, Stack, missing

FOLDER = ROOT / "var" / "stack"


def main() -> int:
    """Start the services and run until it is stopped, or one of them ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if problem := missing():
        print(f"make stack: {problem}.", file=sys.stderr)
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    stack = Stack(FOLDER)
    print(f"Starting {', '.join(stack.services)}; about a minute …", flush=True)
    try:
        with stack.running():
            put_sample(stack)
            print(addresses(stack), flush=True)
            return stay(stack)
    except KeyboardInterrupt:
        return 0
    except NotReady as error:
        print(f"make stack: {error}", file=sys.stderr)
        return 1


def put_sample(stack: Stack) -> None:
    """Make the sample dataset as today's version."""
    version = f"{stack.env['STEEL_TRAINING_DATASET']}/{date.today().isoformat()}"
    command = [sys.executable, "-m", "steel_training", "sample", version]
    subprocess.run(command, env={**os.environ, **stack.environment("worker")}, stdout=subprocess.DEVNULL, check=True)


def addresses(stack: Stack) -> str:
    """Return addresses and logins, to print."""
    logins = "\n".join(
        f"  {login + ':':<12} {stack.env[f'AIRFLOW_{login.upper()}_PASSWORD']}" for login in ("admin", "viewer")
    )
    return f"""
  Airflow:     {stack.address}/dags/steel_training
{logins}
  TensorBoard: http://localhost:{stack.ports["tensorboard"]}
  S3:          http://127.0.0.1:{stack.ports["s3"]} (in memory; any key works)
  dataset:     {stack.env["STEEL_TRAINING_DATASET"]}
  store:       {stack.env["STEEL_TRAINING_STORE"]}
  logs:        {stack.folder / "said"}

Switch the DAG on and trigger it. Ctrl-C ends everything and deletes its results."""


def stay(stack: Stack) -> int:
    """Wait until a service ends, which ends the stack."""
    while True:
        for name, process in stack.processes.items():
            if name != "init" and process.code is not None:
                raise NotReady(f"{name} ended with {process.code}:\n{process.said()}")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
