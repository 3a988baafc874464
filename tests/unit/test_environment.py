"""What a machine is told by its environment: typed, with defaults, and a mistake stops only what needs the variable."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from steel_training.environment import PREFIX, Environment, VariableInvalid, variables

ROOT = Path(__file__).resolve().parents[2]
OF_COMPOSE = {"STEEL_TRAINING_FOLDER", "STEEL_TRAINING_GPUS"}
"""Read by docker-compose.yaml alone; .env.example describes them."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in variables():
        monkeypatch.delenv(each.name, raising=False)


def test_defaults_hold_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Environment.read()
    assert (found.dataset, found.config, found.roots, found.watch_seconds) == ("", None, (), 60.0)
    assert (found.timezone, found.cron, found.kubernetes_gpus) == ("UTC", "0 2 * * *", 1)
    monkeypatch.setenv("STEEL_TRAINING_CRON", "")
    monkeypatch.setenv("STEEL_TRAINING_CONFIG", "")
    assert (Environment.read().cron, Environment.read().config) == ("0 2 * * *", None)


def test_values_are_typed_and_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEEL_TRAINING_ROOTS", " /mill  s3://steel/strips ")
    monkeypatch.setenv("STEEL_TRAINING_CACHE_GB", "2.5")
    monkeypatch.setenv("STEEL_TRAINING_KUBERNETES_NODE_SELECTOR", '{"accelerator": "a100"}')
    found = Environment.read()
    assert found.roots == ("/mill", "s3://steel/strips")
    assert found.cache_gb == 2.5
    assert found.kubernetes_node_selector == {"accelerator": "a100"}
    monkeypatch.delenv("STEEL_TRAINING_ROOTS")
    assert Environment.read().roots == ()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cache_gb", "much", "STEEL_TRAINING_CACHE_GB is 'much'; expected a size in GB"),
        ("cache_gb", "nan", "is 'nan'; expected"),
        ("watch_seconds", "0", "is '0'; expected seconds above 0"),
        ("watch_seconds", "inf", "is 'inf'; expected seconds"),
        ("kubernetes_gpus", "one", "STEEL_TRAINING_KUBERNETES_GPUS is 'one'; expected a number of GPUs"),
        ("kubernetes_node_selector", "a=b", "is 'a=b', which is not valid JSON (Expecting value: line 1"),
        ("kubernetes_node_selector", '{"gpu": true}', 'expected such as {"gpu": "a100"}'),
        ("kubernetes_tolerations", "{}", "is '{}'; expected such as [{"),
    ],
)
def test_invalid_value_affects_only_its_readers(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), value)
    monkeypatch.setenv("STEEL_TRAINING_STORE", "/store")
    found = Environment.read()
    assert found.store == "/store"
    with pytest.raises(VariableInvalid, match=re.escape(told)):
        getattr(found, name)
    with pytest.raises(AttributeError):
        _ = found.nonsense


def test_every_variable_named_in_a_file_is_described() -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = {each.name for each in variables()} | OF_COMPOSE
    named: dict[str, str] = {}
    for file in filter(None, files.split("\0")):
        path = ROOT / file
        if file.startswith("tests/") or path.suffix in (".png", ".html", ".h5") or not path.is_file():
            continue
        for name in re.findall(
            rf"{PREFIX}[A-Z][A-Z_]*[A-Z](?![A-Z_])", path.read_text(encoding="utf-8", errors="ignore")
        ):
            named.setdefault(name, file)
    assert {name: file for name, file in named.items() if name not in known} == {
        "STEEL_TRAINING_SCREENSHOTS": "docs/airflow.md"
    }


def test_only_the_class_looks_variables_up() -> None:
    looks_up = re.compile(rf"environ(\.get\(|\[|\.setdefault\()\s*f?[\"']{PREFIX}")
    for folder in ("steel_training", "plugins", "dags", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not looks_up.search(path.read_text(encoding="utf-8")), path
