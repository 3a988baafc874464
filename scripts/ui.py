"""`make ui`: Airflow in the browser, with the sample dataset and the DAG ready to be triggered. Ctrl-C ends it.

`airflow standalone` with a home of its own below `var/ui`, bound to 127.0.0.1, on port 8080 or the next free one.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

from airflow_home import DAG_ID, ROOT, SAMPLE, AirflowHome, PreparationFailed

HOME = AirflowHome(ROOT / "var" / "ui")
HOST = "127.0.0.1"
PASSWORDS = HOME.folder / "airflow" / "simple_auth_manager_passwords.json.generated"
USER = "admin"
READY_WITHIN_SECONDS = 300


class NotReady(Exception):
    """Airflow did not come up."""


def main() -> int:
    """Starts Airflow and stays until it is told to stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = None
    try:
        HOME.make_sample()
        print("Preparing Airflow's database below var/ui (the first time only).", flush=True)
        HOME.prepare()
        port = _free_port(8080)
        address = f"http://{HOST}:{port}"
        print("Starting Airflow, about a minute …", flush=True)
        process = _start(port, address)
        token = _wait_until_ready(process, address)
        _request(f"{address}/api/v2/dags/{DAG_ID}", token, method="PATCH", body={"is_paused": False})
        print(
            f"\n  Airflow:  {address}/dags/{DAG_ID}\n  login:    {USER}\n  password: {_password()}\n"
            f"  dataset:  {SAMPLE}\n  store:    {HOME.store}\n  log:      {HOME.log}\n\nCtrl-C ends it.",
            flush=True,
        )
        return process.wait()
    except KeyboardInterrupt:
        return 0
    except (PreparationFailed, NotReady) as error:
        print(f"make ui: {error}", file=sys.stderr)
        return 1
    finally:
        if process is not None and process.poll() is None:
            print("\nStopping Airflow …", flush=True)
            HOME.stop(process)


def _start(port: int, address: str) -> subprocess.Popen[str]:
    environment = HOME.environment(
        api__host=HOST,
        api__port=str(port),
        api__base_url=address,
        api__workers="1",
        core__execution_api_server_url=f"{address}/execution/",
        core__parallelism="4",
        logging__worker_log_server_port=str(_free_port(port + 1)),
        logging__trigger_log_server_port=str(_free_port(port + 2)),
    )
    with open(HOME.log, "ab") as log:
        return subprocess.Popen(
            ["airflow", "standalone"], env=environment, cwd=ROOT, stdout=log, stderr=log, text=True, process_group=0
        )


def _wait_until_ready(process: subprocess.Popen[str], address: str) -> str:
    """Waits for the scheduler and the DAG, and returns a token for the API."""
    until = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise NotReady(f"Airflow ended with {process.returncode}; see {HOME.log}.")
        try:
            health = _request(f"{address}/api/v2/monitor/health")
            if health["scheduler"]["status"] == "healthy" and PASSWORDS.exists():
                login = {"username": USER, "password": _password()}
                token = str(_request(f"{address}/auth/token", method="POST", body=login)["access_token"])
                _request(f"{address}/api/v2/dags/{DAG_ID}", token)
                return token
        except (OSError, ValueError, KeyError):
            pass  # not up yet, or the DAG is not parsed yet
        time.sleep(2)
    raise NotReady(f"Airflow was not ready after {READY_WITHIN_SECONDS} s; see {HOME.log}.")


def _request(url: str, token: str = "", *, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.loads(answer.read())


def _password() -> str:
    return str(json.loads(PASSWORDS.read_text(encoding="utf-8").splitlines()[0])[USER])


def _free_port(first: int) -> int:
    """Returns the first port from `first` on that nobody listens on."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NotReady(f"No free port from {first} to {first + 99}.")


if __name__ == "__main__":
    sys.exit(main())
