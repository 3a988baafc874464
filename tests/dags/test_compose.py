"""The compose file fits together: with itself, with the Dockerfile, with the DAG, and with the installed Airflow."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import make_env
import pytest
import yaml
from composed.file import read_env, variables_of
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parents[2]

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = {name: s for name, s in SERVICES.items() if "AIRFLOW__CORE__EXECUTOR" in (s.get("environment") or {})}
WORKERS = {name: s for name, s in AIRFLOW.items() if "celery" in s.get("command", ())}
TRAINERS = {name: s for name, s in WORKERS.items() if s["command"][s["command"].index("--queues") + 1] == "gpu"}


@pytest.fixture(scope="module")
def environment_file() -> dict[str, str]:
    return read_env(make_env.filled((ROOT / ".env.example").read_text(encoding="utf-8")))


def test_all_airflow_services_and_queues_exist() -> None:
    assert {"api-server", "scheduler", "dag-processor", "triggerer"} <= set(AIRFLOW)
    assert {"postgres", "redis", "s3", "init", "tensorboard"} <= set(SERVICES)
    assert {s["command"][s["command"].index("--queues") + 1] for s in WORKERS.values()} == {"default", "gpu"}
    assert {tuple(s["profiles"]) for s in TRAINERS.values()} == {("gpu",), ("cpu",)}


def test_env_example_has_every_variable(
    environment_file: dict[str, str],
) -> None:
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    used = dict(sorted(variables_of(text)))  # of several uses the strictest
    assert used.keys() == environment_file.keys()
    required = {name for name, must in used.items() if must}
    assert make_env.SECRETS.keys() <= required, "an installation without a secret must not start"
    assert all(environment_file[name] for name in required)


def test_secrets_are_fresh_private_and_kept(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text(encoding="utf-8"), encoding="utf-8")
    assert make_env.main(tmp_path) == 0
    written = (tmp_path / ".env").read_text(encoding="utf-8")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert make_env.main(tmp_path) == 1
    assert (tmp_path / ".env").read_text(encoding="utf-8") == written
    assert make_env.filled("POSTGRES_PASSWORD=") != make_env.filled("POSTGRES_PASSWORD=")
    assert make_env.filled("POSTGRES_PASSWORD=mine") == "POSTGRES_PASSWORD=mine\n"


def test_generated_fernet_key_is_valid(environment_file: dict[str, str]) -> None:
    from cryptography.fernet import Fernet

    Fernet(environment_file["AIRFLOW_FERNET_KEY"])


def test_only_init_has_the_login_passwords() -> None:
    shared = [name for name in AIRFLOW["scheduler"]["environment"] if name.startswith("AIRFLOW__")]
    for service in AIRFLOW.values():
        assert {n: service["environment"][n] for n in shared} == {
            n: AIRFLOW["scheduler"]["environment"][n] for n in shared
        }
    for secret in ("AIRFLOW_ADMIN_PASSWORD", "AIRFLOW_VIEWER_PASSWORD"):
        assert [name for name, s in SERVICES.items() if secret in s.get("environment", {})] == ["init"]


def test_only_users_of_the_store_have_its_keys() -> None:
    users = {"s3", "init", "api-server", "dag-processor", "triggerer", "tensorboard", "deploy", *WORKERS}
    for name, service in SERVICES.items():
        knows = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(service.get("environment", {}))
        # Its inner ports ask for no key.
        near = "store" in service.get("networks", ["default"])
        assert (knows, near) == ((True, True) if name in users else (False, False)), name


def test_only_workers_have_the_notify_addresses() -> None:
    assert {name for name, s in SERVICES.items() if "STEEL_TRAINING_NOTIFY" in s.get("environment", {})} == set(WORKERS)


def test_datasets_and_store_are_on_s3_by_default(environment_file: dict[str, str]) -> None:
    assert environment_file["STEEL_TRAINING_DATASET"].startswith("s3://")
    assert environment_file["STEEL_TRAINING_STORE"].startswith("s3://")
    assert environment_file["AWS_ENDPOINT_URL"] == "http://s3:8333"
    for name in ("worker", "api-server", "triggerer"):
        assert SERVICES[name]["environment"]["AWS_ENDPOINT_URL"] == "${AWS_ENDPOINT_URL:-}"


def test_mounts_share_one_path_and_are_read_only() -> None:
    seen = {
        name: mount.partition(":/srv/steel-training")[2]
        for name, service in SERVICES.items()
        for mount in service.get("volumes", ())
        if ":/srv/steel-training" in mount
    }
    writers = {name for name, mode in seen.items() if mode == ""}
    assert writers == {"api-server", *WORKERS}
    assert {name for name, mode in seen.items() if mode == ":ro"} == {
        *("dag-processor", "triggerer", "tensorboard", "deploy")
    }
    assert "/srv/steel-training" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_airflow_settings_exist_in_this_version() -> None:
    """A misspelt variable is silently ignored by Airflow."""
    from airflow.configuration import conf

    known = {
        (section, option)
        for section, description in conf.configuration_description.items()
        for option in description["options"]
    }
    for name in AIRFLOW["worker"]["environment"]:
        if name.startswith("AIRFLOW__"):
            _, section, option = name.lower().split("__")
            assert (section, option) in known, name


def test_airflow_commands_exist_in_this_version() -> None:
    from airflow.cli.cli_parser import get_parser

    commands = [s["command"] for s in AIRFLOW.values() if s["command"][0] == "airflow"]
    # Celery's own commands are known where its executor is configured.
    for command in commands:
        if command[1] != "celery":
            get_parser().parse_args(command[1:])
    asked = subprocess.run(
        [sys.executable, "-m", "airflow", "celery", "worker", "--help"],
        env={**os.environ, "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in {word for s in WORKERS.values() for word in s["command"] if word.startswith("--")}:
        assert option in asked


def test_gpu_worker_runs_one_training_at_a_time() -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(str(ROOT / "dags")).dags["steel_training"]
    queues = {task.queue for task in dag.tasks}
    assert queues == {s["command"][s["command"].index("--queues") + 1] for s in WORKERS.values()}
    for service in TRAINERS.values():
        assert service["command"][service["command"].index("--concurrency") + 1] == "1"
    assert 'pools set gpu 1 "' in (ROOT / "scripts" / "init.sh").read_text(encoding="utf-8")
    longest = max(task.execution_timeout for task in dag.tasks if task.queue == "gpu")
    unacknowledged = int(
        AIRFLOW["worker"]["environment"]["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    )
    assert timedelta(seconds=unacknowledged) > 2 * longest
    devices = SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "${STEEL_TRAINING_GPUS:-1}", "capabilities": ["gpu"]}]


def test_only_worker_images_contain_tensorflow() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, flags=re.MULTILINE))
    for name, service in AIRFLOW.items():
        target = service["build"]["target"]
        assert target in targets
        assert service["image"].startswith(f"steel-training-{target}:")
        assert (target == "orchestrator") == (name not in WORKERS)
    for target in ("orchestrator", "worker", "gpu-worker"):
        lock = (ROOT / "requirements" / f"{target}.txt").read_text(encoding="utf-8")
        packages = set(re.findall(r"^([a-z0-9-]+)==", lock, flags=re.MULTILINE))
        assert ("tensorflow" in packages) == (target != "orchestrator")
        assert ("nvidia-cudnn-cu12" in packages) == (target == "gpu-worker")
        assert "apache-airflow" in packages


def test_ports_are_published_on_localhost_only() -> None:
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert set(published) == {"api-server", "tensorboard", "s3", "tensorflow-serving"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_model_server_reads_the_deployed_folder(
    environment_file: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from steel_training.cli import main
    from steel_training.serving import deployment

    asked: list[tuple[Any, Path, float]] = []

    def watch(*given: Any) -> None:
        asked.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(deployment, "watch", watch)
    watcher, server = SERVICES["deploy"], SERVICES["tensorflow-serving"]
    assert watcher["profiles"] == server["profiles"] == ["serving"]
    program, *words = (re.sub(r"\$\{(\w+)[^}]*\}", lambda m: environment_file[m[1]], w) for w in watcher["command"])
    assert program == "steel-training"
    assert main(words) == 1, "watches until it is interrupted"
    ((registry, base, seconds),) = asked
    environment = server["environment"]
    assert str(base) == f"{environment['MODEL_BASE_PATH']}/{environment['MODEL_NAME']}"
    assert registry.name == environment["MODEL_NAME"]
    assert seconds < 300, "the health check wants a look every five minutes"
    assert registry.store.uri == environment_file["STEEL_TRAINING_STORE"]
    writes, reads = (s["volumes"][0].split(":") for s in (watcher, server))
    assert writes == ["served", environment["MODEL_BASE_PATH"]]
    assert reads == [*writes, "ro"]
    # A named volume takes its owner from the image's folder; the watcher is no root.
    assert "-o airflow -g airflow" in (dockerfile := (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert environment["MODEL_BASE_PATH"] in dockerfile


def test_health_check_detects_a_missing_model(tmp_path: Path) -> None:
    """The very words of the compose file, against a server that answers as TensorFlow Serving does."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    states = iter(["AVAILABLE", "LOADING"])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/v1/models/steel-defects"
            body = json.dumps({"model_version_status": [{"version": "1", "state": next(states)}]} if known else {})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, *words = SERVICES["tensorflow-serving"]["healthcheck"]["test"]
        words[-1] = words[-1].replace("/8501", f"/{server.server_port}")
        codes = [subprocess.run(words, timeout=300, check=False).returncode for _ in range(2)]
        server.shutdown()
    assert codes == [0, 1]


def test_services_restart_and_have_health_checks() -> None:
    for name, service in SERVICES.items():
        if name == "init":
            continue
        assert service["restart"] == "unless-stopped"
        assert "healthcheck" in service, name
        assert re.search(r":\d+\.\d+", service["image"]), f"{service['image']} is no fixed version"


def test_no_health_check_loads_airflow() -> None:
    """That takes several seconds of CPU time: on a host that trains, a healthy service would not answer in time."""
    for name, service in SERVICES.items():
        words = " ".join(service.get("healthcheck", {}).get("test", ()))
        assert not re.search(r"\bairflow [a-z]", words), name
        assert "import airflow" not in words, name
        assert "--app airflow" not in words, name


def test_scripts_that_a_container_runs_are_in_it() -> None:
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8") + (ROOT / "scripts" / "init.sh").read_text()
    used = set(re.findall(r"/(\w+\.(?:py|sh))\b", text))
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert used == {"heartbeat.py", "init.sh", "make_buckets.py", "show_trainings.py"}
    assert all(f"!scripts/{name}" in kept for name in used)


def test_init_writes_logins_and_creates_buckets(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords.json"
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    asked = tmp_path / "asked"
    (bin_folder / "airflow").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n', encoding="utf-8")
    (bin_folder / "airflow").chmod(0o755)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "PATH": f"{bin_folder}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW_ADMIN_PASSWORD": 'quo"te $HOME',
        "AIRFLOW_VIEWER_PASSWORD": "look",  # pragma: allowlist secret
        "STEEL_TRAINING_DATASET": "s3://datasets/strips",
        "STEEL_TRAINING_STORE": "s3://models",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "key"),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PYTHONPATH": str(ROOT),
    }
    try:
        said = [
            subprocess.run(
                ["bash", str(ROOT / "scripts" / "init.sh")],
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            for _ in range(2)
        ]
    finally:
        server.stop()
    assert said[0].count(": created") == 2
    assert said[1].count(": exists") == 2, "it runs at every start"
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    with passwords.open(encoding="utf-8") as stream:
        assert SimpleAuthManager._get_passwords(stream) == {"admin": 'quo"te $HOME', "viewer": "look"}
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    assert asked.read_text(encoding="utf-8").splitlines()[0] == "db migrate"
    logins = AIRFLOW["api-server"]["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert {entry.split(":")[0] for entry in logins.split(",")} == set(
        json.loads(passwords.read_text(encoding="utf-8"))
    )
