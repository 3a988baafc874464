"""Response time of the models page with many versions: cold (first request) and warm.

    python benchmarks/models_page_speed.py                  1,000 versions in a folder
    python benchmarks/models_page_speed.py --s3             the same in an S3 server (moto) of its own process
    python benchmarks/models_page_speed.py --latency 0.02   and every request to it delayed, as over a network

Runs Airflow's API server, with its login, in its own home. The last line is JSON: seconds per request.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SERVER = """
import sys, time
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
delay, backend = float(sys.argv[2]), DomainDispatcherApplication(create_backend_app)
def app(environ, start):
    time.sleep(delay)
    return backend(environ, start)
run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that every request to S3 takes longer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steel-training-benchmark-") as scratch:
        prepare(Path(scratch))
        place = s3(options.latency) if options.s3 or options.latency else contextlib.nullcontext(f"{scratch}/store")
        with place as store:
            os.environ["STEEL_TRAINING_STORE"] = store
            fill(store, options.versions)
            with api_server() as address:
                print(json.dumps(ask(address)))


def prepare(scratch: Path) -> None:
    """Set an Airflow home of our own, before anything imports Airflow."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "STEEL_TRAINING"))]:
        del os.environ[name]
    (scratch / "passwords.json").write_text('{"admin": "admin"}')
    os.environ |= {
        "AIRFLOW_HOME": str(scratch / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(scratch / "passwords.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }


def fill(store: str, versions: int) -> None:
    """Publish small bundles with full records, and a rejected run for every third of them."""
    from steel_training.registry import Registry
    from steel_training.storage import open_storage
    from steel_training.verdict import Reason, Verdict

    registry, first = Registry(open_storage(store), "steel-defects"), datetime.now(UTC) - timedelta(days=versions)
    targets = {"recall": 0.95, "f2": 0.85, "precision": 0.7, "auc": 0.9}
    metrics = {name: {"value": 0.96, "bound": 0.93} for name in targets}

    def make(number: int) -> None:
        day = first + timedelta(days=number)
        version, run_id = f"{day:%Y%m%d}-{number:08x}", f"scheduled__{day:%Y-%m-%dT%H-%M-%S}-{number:08x}"
        facts = {
            "dataset": f"s3://mill/strip/{day:%Y-%m-%d}",
            "dataset_version": f"{day:%Y-%m-%d}",
            "fingerprint": "f" * 64,
            "configuration": "c" * 64,
            "code": "0123456789abcdef",
            "metrics": metrics,
            "targets": targets,
            "evidence": "point",
            "report": f"{store}/runs/{run_id}/report.html",
        }
        if number % 3 == 0:
            reason = Reason("gate.recall", "recall is 0.91; the target is 0.95: look at the missed defects.")
            registry.record(f"{run_id}-rejected", Verdict.REJECTED, [reason], {**facts, "version": None})
        with tempfile.TemporaryDirectory() as bundle:
            content = {**facts, "version": version, "run_id": run_id, "judged_at": day.isoformat()}
            Path(bundle, "gate.json").write_text(json.dumps(content))
            Path(bundle, "model_card.md").write_text("# card")
            registry.publish(Path(bundle), version)
        reasons = [Reason(f"gate.{name}", f"{name} is 0.96; the target is met.") for name in targets]
        registry.record(run_id, Verdict.PUBLISHED, reasons, {**facts, "version": version})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(versions)))
    registry.promote(registry.started()[-1])


@contextlib.contextmanager
def s3(latency: float) -> Iterator[str]:
    """An S3 server in a process of its own, with one bucket."""
    port = free_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(latency)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        from steel_training.storage import S3Storage

        S3Storage("steel").client.create_bucket(Bucket="steel")
        yield "s3://steel/mill"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def api_server() -> Iterator[str]:
    """Airflow's API server, in a thread."""
    import uvicorn
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb

    initdb()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def ask(address: str) -> dict[str, float]:
    """Request pages as a browser would, and return the seconds for each."""
    import httpx

    took: dict[str, float] = {}
    with httpx.Client(base_url=address, timeout=120) as browser:
        token = browser.post("/auth/token", json={"username": "admin", "password": "admin"}).json()["access_token"]
        browser.cookies.set("_token", token)

        def get(name: str, path: str) -> str:
            started = time.perf_counter()
            answer = browser.get(path)
            took[name] = round(time.perf_counter() - started, 3)
            answer.raise_for_status()
            assert answer.text.count('class="badge') == 50, answer.text
            return answer.text

        begun = time.perf_counter()
        text = get("first page, cold", "/steel-training/")
        while "still being read" in text:
            time.sleep(0.2)
            text = get("first page, warm", "/steel-training/")
        took["until every record is read"] = round(time.perf_counter() - begun, 3)
        get("first page, warm", "/steel-training/")
        get("page 20", "/steel-training/?page=20")
        get("rejected only", "/steel-training/?verdict=rejected")
    for name, seconds in took.items():
        print(f"{name:<24} {seconds:.3f} s", file=sys.stderr)
    return took


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


if __name__ == "__main__":
    main()
