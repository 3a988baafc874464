"""Rules of the codebase that no test of behaviour would notice being broken."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from steel_training.runs.result import FOLLOWS, STAGES

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("airflow", "tensorflow", "keras", "great_expectations", "boto3", "matplotlib", "sklearn", "scipy")
TRAINING = {"check_baseline", "audit_labels", "train_head", "fine_tune", "evaluate"}


def imported_by(folder: str) -> set[str]:
    """Return the modules of the package that the files of a folder import."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / folder).rglob("*.py")]
    found = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in found if node.module and node.module.split(".")[0] == "steel_training"}


def loaded_after(modules: Iterable[str], libraries: Iterable[str]) -> dict[str, str]:
    """Import modules in a fresh process, in order; return which libraries came along, and the module that brought each."""
    source = f"""
import importlib, json, sys
found = {{}}
for name in {list(modules)!r}:
    importlib.import_module(name)
    for heavy in {list(libraries)!r}:
        if heavy in sys.modules:
            found.setdefault(heavy, name)
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_dags_plugins_and_command_line_start_light() -> None:
    start_up = imported_by("dags") | imported_by("plugins")
    assert len(start_up) > 5
    assert loaded_after(["steel_training.cli", *sorted(start_up)], HEAVY) == {}


def test_stages_that_train_nothing_load_no_learning_library() -> None:
    light = [f"steel_training.stages.{stage}" for stage in STAGES if stage not in TRAINING]
    assert loaded_after(light, ("airflow", "tensorflow", "keras", "sklearn")) == {}


def test_the_page_of_a_review_waits_for_no_learning_library() -> None:
    modules = [f"steel_training.labels.review.{each}" for each in ("opened", "server", "handed_out")]
    assert loaded_after(modules, HEAVY) == {}


def test_only_the_stage_that_validates_loads_great_expectations() -> None:
    others = [f"steel_training.stages.{stage}" for stage in STAGES if stage != "validate_patches"]
    assert loaded_after(others, ("great_expectations",)) == {}


def test_repeated_stages_load_no_learning_library(tmp_path: Path) -> None:
    newest = max((ROOT / "tests" / "stores").glob("schema-*"))
    shutil.copytree(newest, tmp_path / "store")
    (run_id,) = (folder.name for folder in (tmp_path / "store" / "runs").iterdir())
    passed = [stage for stage in FOLLOWS if (tmp_path / "store" / "runs" / run_id / stage / "result.json").exists()]
    assert {"validate_patches", "check_baseline", "train_head", "fine_tune"} < set(passed)
    source = f"""
import sys
from steel_training.cli import main
for stage in {passed!r}:
    assert main([stage, "--run-id", {run_id!r}, "--store", {str(tmp_path / "store")!r}]) == 0, stage
print(",".join(name for name in ("tensorflow", "keras", "great_expectations", "sklearn") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "", done.stdout


def test_stages_are_files_of_their_names() -> None:
    files = {path.stem for path in (ROOT / "steel_training" / "stages").glob("[!_]*.py")}
    assert files == set(STAGES)


def test_the_package_has_at_most_eight_files_at_its_top() -> None:
    assert len(list((ROOT / "steel_training").glob("*.py"))) <= 8


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
        assert len(path.read_text(encoding="utf-8").splitlines()) < 500, path


def test_requirements_have_hashes_and_no_index() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        assert "--index" not in text, path
        assert "--find-links" not in text, path
        for line in text.splitlines():
            if line and not line.startswith((" ", "#")):
                assert "==" in line, f"{path}: {line}"
                assert line.endswith("\\"), f"{path}: {line} has no hash"
