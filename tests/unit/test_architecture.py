"""Rules of the house that no test of behaviour would notice being broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "steel_training").rglob("*.py")
    if path.name != "__main__.py"
)
HEAVY = ("airflow", "tensorflow", "keras", "great_expectations", "boto3", "matplotlib", "sklearn", "scipy")


def test_importing_any_module_loads_nothing_heavy_and_no_airflow() -> None:
    source = f"""
import importlib, json, sys
found = {{}}
for name in {MODULES!r}:
    importlib.import_module(name)
    for heavy in {HEAVY!r}:
        if heavy in sys.modules:
            found.setdefault(heavy, name)
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


def test_help_answers_at_once() -> None:
    for words in (["--help"], ["run", "--help"], ["ingest", "masks", "--help"], ["settings"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "steel_training", *words], capture_output=True, text=True
        )
        assert done.returncode == 0
        for heavy in HEAVY:
            assert f"| {heavy}\n" not in done.stderr.replace(" ", "").replace("|", "| "), f"{words} loads {heavy}"


@pytest.mark.parametrize("folder", ["steel_training", "dags", "plugins", "scripts", "benchmarks", "tests"])
def test_no_file_grows_out_of_sight(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 700, path


def test_no_requirements_file_names_an_index_or_leaves_a_package_without_its_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        assert "--index" not in text, path
        assert "--find-links" not in text, path
        for line in text.splitlines():
            if line and not line.startswith((" ", "#")):
                assert "==" in line, f"{path}: {line}"
                assert line.endswith("\\"), f"{path}: {line} has no hash"
