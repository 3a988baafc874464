"""`make ui`: Airflow in the browser, with the sample dataset and the DAG ready to be triggered. Ctrl-C ends it.

`airflow standalone` with its own home below `var/ui`, bound to 127.0.0.1, on port 8080 or the next free one.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from airflow_home import DAG_ID, ROOT, SAMPLE, AirflowHome, PreparationFailed
from standalone import HOST, USER, NotReady, Standalone, free_port

HOME = AirflowHome(ROOT / "var" / "ui")


def main() -> int:
    """Start Airflow and run until it is stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    airflow = board = None
    try:
        HOME.make_sample()
        print("Preparing Airflow's database below var/ui (the first time only).", flush=True)
        HOME.prepare()
        print("Starting Airflow, about a minute …", flush=True)
        board_port = free_port(6006)
        board_address = f"http://{HOST}:{board_port}"
        airflow = Standalone(HOME, environment={"STEEL_TRAINING_TENSORBOARD_URL": board_address})
        board = _start_tensorboard(board_port)
        token = airflow.wait_until_ready()
        airflow.ask(f"/api/v2/dags/{DAG_ID}", token, method="PATCH", body={"is_paused": False})
        print(
            f"\n  Airflow:  {airflow.address}/dags/{DAG_ID}\n  models:   {airflow.address}/steel-training/\n"
            f"  curves:   {board_address}\n"
            f"  login:    {USER}\n  password: {airflow.passwords[USER]}\n"
            f"  dataset:  {SAMPLE}\n  store:    {HOME.store}\n  log:      {HOME.log}\n\nCtrl-C ends it.",
            flush=True,
        )
        return airflow.process.wait()
    except KeyboardInterrupt:
        return 0
    except (PreparationFailed, NotReady) as error:
        print(f"make ui: {error}", file=sys.stderr)
        return 1
    finally:
        if airflow is not None and airflow.process.poll() is None:
            print("\nStopping Airflow …", flush=True)
            airflow.stop()
        if board is not None:
            HOME.stop(board)


def _start_tensorboard(port: int) -> subprocess.Popen[str]:
    runs = HOME.store / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    command = ["tensorboard", "--logdir", str(runs), "--host", HOST, "--port", str(port)]
    with open(HOME.log, "ab") as log:
        return subprocess.Popen(command, env=HOME.environment(), stdout=log, stderr=log, text=True, process_group=0)


if __name__ == "__main__":
    sys.exit(main())
