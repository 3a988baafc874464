"""`airflow dags test` goes through both branches of the DAG with real stages: one model is published, the next refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_targets_decide_between_publish_and_reject(mill_at_rest: Any) -> None:
    mill = mill_at_rest
    mill.add_version("2026-01-09", seed=20)
    mill.command("dags", "test", "steel_training")
    (published,) = mill.decisions()
    assert (published["verdict"], mill.champion()) == ("published", published["version"])

    hopeless = {"gate.auc": 1.0, "publish.force": True}
    mill.command("dags", "test", "steel_training", "--conf", json.dumps(hopeless))
    rejected = mill.decisions()[-1]
    assert (rejected["verdict"], rejected["version"]) == ("rejected", None)
    assert "gate.auc" in {reason["code"] for reason in rejected["reasons"]}
    assert mill.champion() == published["version"]
    folders = {path.name for path in (mill.store / "runs" / rejected["run_id"]).iterdir()}
    assert {"reject_model", "report.html"} <= folders
    assert "publish_model" not in folders
