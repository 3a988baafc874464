"""`make ui`: Airflow in the browser, with the sample dataset and the DAG ready to be triggered. Ctrl-C ends it.

`airflow standalone` with a home of its own below `var/ui`, bound to 127.0.0.1, on port 8080 or the next free one.
"""

from __future__ import annotations

import signal
import sys

from airflow_home import DAG_ID, ROOT, SAMPLE, AirflowHome, PreparationFailed
from standalone import USER, NotReady, Standalone

HOME = AirflowHome(ROOT / "var" / "ui")


def main() -> int:
    """Starts Airflow and stays until it is told to stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    airflow = None
    try:
        HOME.make_sample()
        print("Preparing Airflow's database below var/ui (the first time only).", flush=True)
        HOME.prepare()
        print("Starting Airflow, about a minute …", flush=True)
        airflow = Standalone(HOME)
        token = airflow.wait_until_ready()
        airflow.ask(f"/api/v2/dags/{DAG_ID}", token, method="PATCH", body={"is_paused": False})
        print(
            f"\n  Airflow:  {airflow.address}/dags/{DAG_ID}\n  models:   {airflow.address}/steel-training/\n"
            f"  login:    {USER}\n  password: {airflow.password}\n"
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


if __name__ == "__main__":
    sys.exit(main())
