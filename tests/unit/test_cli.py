"""What the command line answers to wrong use and bad data: a clear message, the documented code, nothing published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.config import settings
from steel_training.environment import variables
from steel_training.registry import Registry
from steel_training.runs.result import STAGES
from steel_training.storage import open_storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "data", patches=240)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, dict]]:
    """Runs the whole line; returns exit code, what a person reads, and the JSON object of the last line."""

    def call(data: Path | str, *options: str) -> tuple[int, str, dict]:
        capsys.readouterr()
        code = main(["run", str(data), "--store", str(tmp_path / "store"), "--set", "model.weights=none", *options])
        out, err = capsys.readouterr()
        lines = out.strip().splitlines()
        return code, err, json.loads(lines[-1]) if lines else {}

    return call


def edit(dataset: Path, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> None:
    manifest = dataset / "manifest.csv"
    table = pd.read_csv(manifest, dtype=str)
    changed = change(table)
    (table if changed is None else changed).to_csv(manifest, index=False)


def set_cell(table: pd.DataFrame, column: str, value: str) -> None:
    table.loc[7, column] = value


def truncate(dataset: Path) -> None:
    from PIL import Image

    picture = dataset / "patches" / "p0007.jpg"
    Image.open(dataset / "patches" / "p0007.png").save(picture)
    picture.write_bytes(picture.read_bytes()[:300])
    edit(dataset, lambda table: set_cell(table, "path", "patches/p0007.jpg"))


BAD_DATA = {
    "missing column": (
        lambda d: edit(d, lambda t: t.drop(columns="label")),
        "label",
    ),
    "label 2": (lambda d: edit(d, lambda t: set_cell(t, "label", "2")), "p0007"),
    "truncated JPEG": (truncate, "p0007"),
    "path that leaves the dataset": (lambda d: edit(d, lambda t: set_cell(t, "path", "../x.png")), "p0007"),
    "one class only": (lambda d: edit(d, lambda t: t.assign(label="0")), "defective"),
    "empty dataset": (lambda d: edit(d, lambda t: t.head(0)), "200"),
    "empty manifest file": (lambda d: (d / "manifest.csv").write_text(""), "200"),
    "three patches": (lambda d: edit(d, lambda t: t.head(3)), "200"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_blocked_by_validation(case: str, dataset: Path, run, tmp_path: Path) -> None:
    spoil, named = BAD_DATA[case]
    spoil(dataset)
    code, told, answer = run(dataset)
    assert code == 4
    assert answer["verdict"] == "blocked"
    assert answer["version"] is None
    assert all(reason["code"].startswith("data.") for reason in answer["reasons"])
    assert any(named in reason["message"] for reason in answer["reasons"]), answer["reasons"]
    assert "Traceback" not in told
    assert Path(answer["report"]).is_file()
    nothing_published(tmp_path / "store", verdicts=["blocked"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--set", "training.haed.epochs=3"], "training.head.epochs"),
        (["--set", "training.head.epochs=0"], "greater than or equal to 1"),
        (["--set", "gate.recall=1.5"], "less than or equal to 1"),
        (["--set", "gate.recall"], "no value"),
        (["--set", "training.loss=hinge"], "binary_crossentropy"),
        (["--config", "no/such/file.yaml"], "no/such/file.yaml"),
        (["--set", "model.weights=no/such/weights.h5"], "no/such/weights.h5"),
        (["--date", "yesterday"], "YYYY-MM-DD"),
        (["--run-id", "..", "--date", "2026-02-30"], "YYYY-MM-DD"),
    ],
)
def test_wrong_use_says_what_to_type(options: list[str], named: str, dataset: Path, run, tmp_path: Path) -> None:
    code, told, answer = run(dataset, *options)
    assert code == 2
    assert named in told
    assert "Traceback" not in told
    assert not answer
    nothing_published(tmp_path / "store", verdicts=[])


def test_a_folder_without_a_manifest_is_wrong_use(tmp_path: Path, run) -> None:
    (tmp_path / "empty").mkdir()
    code, told, _ = run(tmp_path / "empty")
    assert code == 2
    assert "manifest.csv" in told
    assert "ingest" in told
    nothing_published(tmp_path / "store", verdicts=[])


def test_unreachable_s3_fails_soon_with_a_message(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    code, told, _ = run("s3://steel/patches")
    assert code == 1
    assert "s3://steel/patches" in told
    assert "Traceback" not in told
    nothing_published(tmp_path / "store", verdicts=[])


def test_stage_out_of_order_names_the_missing_one(tmp_path: Path, capsys) -> None:
    code = main(["train_head", "--run-id", "r1", "--store", str(tmp_path)])
    assert code == 2
    assert "steel-training check_baseline --run-id r1" in capsys.readouterr().err


def test_predict_without_a_champion_says_so(dataset: Path, tmp_path: Path, capsys) -> None:
    code = main(["predict", str(dataset / "patches" / "p0007.png"), "--store", str(tmp_path / "store")])
    assert code == 2
    assert "no champion" in capsys.readouterr().err.lower()


def test_an_unknown_option_names_the_nearest_one(capsys) -> None:
    assert main(["run", "2026-data", "--store", "s", "--run-i", "r1"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "--run-id" in err
    assert err.splitlines()[-1].startswith("steel-training: ")
    assert "steel-training run --help" in err


def test_help_is_an_answer_and_not_an_error(capsys) -> None:
    for words in (["--help"], ["-h"], ["run", "--help"], ["models", "deploy", "-h"]):
        assert main(words) == 0
        out, err = capsys.readouterr()
        assert out.startswith("Usage: steel-training")
        assert not err
        assert "\x1b" not in out


def test_every_stage_is_a_command_in_order(capsys) -> None:
    assert main(["--help"]) == 0
    commands = [line.split()[0] for line in capsys.readouterr().out.partition("Commands:")[2].splitlines() if line]
    assert tuple(commands[1 : 1 + len(STAGES)]) == STAGES


def test_options_keep_dashes_signs_and_repetition(tmp_path: Path, capsys) -> None:
    (tmp_path / "2026").mkdir()
    words = ["--store", str(tmp_path / "s"), "--run-id", "r", "--set", "gate.recall=0.9", "--set", "data.seed=-1"]
    assert main(["run", str(tmp_path / "2026"), *words]) == 2
    assert "'data.seed' is -1" in capsys.readouterr().err
    assert main(["resolve_dataset", "--dataset", "-x", *words[:4]]) == 2
    assert "-x" in capsys.readouterr().err
    assert main(["models", "prune", "--keep", "-1", *words[:2]]) == 2
    assert "at least 1" in capsys.readouterr().err


def test_ctrl_c_prints_a_message_without_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def interrupted(self, version: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "promote", interrupted)
    assert main(["models", "promote", "v1", "--store", str(tmp_path)]) == 1
    assert "interrupted" in capsys.readouterr().err


def test_settings_lists_every_design_default(capsys) -> None:
    assert main(["settings"]) == 0
    told = capsys.readouterr().out
    assert told.count("Design default") >= 12
    assert "training.head.learning_rate" in told


def test_settings_page_is_up_to_date(capsys) -> None:
    assert main(["settings", "--markdown"]) == 0
    made = capsys.readouterr().out
    assert made == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), (
        "make it again: steel-training settings --markdown > docs/settings.md"
    )
    for key, _ in settings():
        assert f"| `{key}` |" in made
    for variable in variables():
        assert f"| `{variable.name}` |" in made


def nothing_published(store: Path, verdicts: list[str]) -> None:
    registry = Registry(open_storage(store), "steel-defects")
    assert registry.champion()[0] is None
    assert not list(store.glob("models/*/versions/*"))
    assert [decision["verdict"] for decision in registry.decisions()] == verdicts
