"""Airflow mounts the page, and the parts of Airflow that do not show it pay nothing for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steel_training.storage import open_storage

from .conftest import publish

ROOT = Path(__file__).resolve().parents[3]
FRESH = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pandas", "numpy", "PIL", "pyarrow", "sklearn", "scipy", "tensorflow", "keras",
                                  "great_expectations", "matplotlib", "h5py"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def fresh(source: str, **environment: str) -> dict:
    """Runs a program in a process without the packages that only workers have; returns the JSON on its last line."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}", **environment}
    done = subprocess.run([sys.executable, "-c", FRESH + source], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_menu_has_the_page_and_every_run_its_tab(browser):
    plugins = browser("admin").get("/api/v2/plugins").json()["plugins"]
    views = {view["destination"]: view for plugin in plugins for view in plugin["external_views"]}
    assert views["nav"]["href"] == "steel-training/"
    assert views["dag_run"]["href"] == "steel-training/runs/{RUN_ID}?dag={DAG_ID}"
    assert browser("admin").get("/api/v2/plugins/importErrors").json()["total_entries"] == 0


def test_loading_plugins_does_not_import_the_page():
    loaded = fresh(
        """
from airflow import plugins_manager
_, errors = plugins_manager._get_plugins()
print(json.dumps({"errors": errors, "modules": [name for name in sys.modules if name.startswith(("steel_training", "models_page", "boto"))]}))
"""
    )
    assert loaded["errors"] == {}
    page = {name for name in loaded["modules"] if name.startswith("models_page")}
    assert page == {"models_page", "models_page.mount"}
    assert {"boto3", "steel_training.registry", "steel_training.report"}.isdisjoint(loaded["modules"])


@pytest.mark.timeout(180)
def test_page_needs_no_worker_packages_and_any_base_path(tmp_path, store):
    """The API server's image holds no pandas, NumPy or TensorFlow; a proxy may serve Airflow at /air."""
    publish(open_storage(store), tmp_path, "20261124-aa")
    publish(open_storage(store), tmp_path, "20261124-bb")
    curve = {"pr": {"recall": [1.0, 0.0], "precision": [0.3, 1.0]}}
    open_storage(store).write_json("runs/scheduled__20261124-aa/evaluate/curves.json", curve)
    open_storage(store).write("runs/scheduled__20261124-aa/report.html", b"report")
    (tmp_path / "passwords.json").write_text('{"admin": "admin"}')
    found = fresh(
        """
import re
from airflow.api_fastapi.app import create_app
from airflow.utils.db import initdb
from starlette.testclient import TestClient
initdb()
client = TestClient(create_app(apps="core"), base_url="http://testserver", raise_server_exceptions=False)
answer = client.get("/air/steel-training/", follow_redirects=False)
told = {"login": answer.headers["location"]}
token = client.post("/air/auth/token", json={"username": "admin", "password": "admin"}).json()["access_token"]
# As Airflow's login page sets it: for the part of the host that Airflow stands below.
client.cookies.set("_token", token, domain="testserver.local", path="/air/")
for path in ("", "versions/20261124-aa", "compare?a=20261124-aa&b=20261124-bb", "runs/scheduled__20261124-aa",
             "files/runs/", "files/runs/scheduled__20261124-aa/report.html", "labels/"):
    answer = client.get(f"/air/steel-training/{path}")
    links = re.findall(r'(?:href|src|action)="(/[^"]*)"', answer.text)
    told[path] = [answer.status_code, [link for link in links if not link.startswith("/air/steel-training/")], str(answer.url)]
print(json.dumps(told))
""",
        AIRFLOW_HOME=str(tmp_path / "airflow"),
        AIRFLOW__API__BASE_URL="http://testserver/air",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(tmp_path / "passwords.json"),
    )
    assert found.pop("login") == "/air/api/v2/auth/login?next=%2Fair%2Fsteel-training%2F"
    for path, (status, astray, _) in found.items():
        assert status == 200, path
        assert astray == [], path
    assert "/air/steel-training/open/" in found["files/runs/scheduled__20261124-aa/report.html"][2]


@pytest.mark.slow
def test_page_benchmark_of_a_thousand_versions():
    """The figure in the documentation is below one second on an idle machine; this one may be busy."""
    script = ROOT / "benchmarks" / "models_page_speed.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    took = json.loads(done.stdout.splitlines()[-1])
    assert took["first page, cold"] < 3
    assert took["first page, warm"] < 1
