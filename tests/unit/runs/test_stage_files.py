"""What a stage wrote is what later stages read: a file that was damaged, replaced, removed or added is named, and not used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.runs.result import RESULT, StageResult
from steel_training.runs.run import Run
from steel_training.runs.stage_files import FILES, StageFilesChanged, record_files, require_recorded
from steel_training.storage import open_storage

NAMES = st.text("abc.", min_size=1, max_size=3).filter(lambda name: name.strip("."))
TREES = st.dictionaries(
    st.tuples(st.sampled_from(["", "bundle/", "bundle/model/"]), NAMES), st.binary(max_size=50), min_size=1
)
CHANGES: dict[str, Callable[[Path], object]] = {
    "is missing": lambda path: path.unlink(),
    "was added": lambda path: path.with_name("added").write_bytes(b""),
    "has SHA-256": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
}


def written(folder: Path) -> StageResult:
    """What `evaluate` leaves, in small."""
    (folder / "bundle" / "saved_model").mkdir(parents=True)
    for name in ("scores.parquet", "bundle/model.keras", "bundle/saved_model/saved_model.pb"):
        (folder / name).write_bytes(name.encode())
    return StageResult("evaluate")


@given(tree=TREES, choice=st.data())
def test_each_change_of_each_file_is_named(
    tree: dict[tuple[str, str], bytes], choice: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stage")
    for (above, name), content in tree.items():
        path = folder / f"{above}_{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    recorded = record_files(folder)
    (folder / RESULT).write_text("{}")
    require_recorded(folder, recorded, besides=RESULT, where="here")
    path = choice.draw(st.sampled_from(sorted(path for path in folder.rglob("_*") if path.is_file())))
    told, change = choice.draw(st.sampled_from(sorted(CHANGES.items(), key=lambda item: item[0])))
    change(path)
    name = path.with_name("added") if told == "was added" else path
    with pytest.raises(StageFilesChanged, match=f"here: {name.relative_to(folder).as_posix()} {told}"):
        require_recorded(folder, recorded, besides=RESULT, where="here")
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_replaced_model_is_not_read_by_the_next_stage(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base = str(tmp_path / "store") if kind == "folder" else f"{request.getfixturevalue('s3')}/replaced"
    run = Run(open_storage(base), "r")
    run.perform("evaluate", {}, written)
    with run.folder("evaluate") as folder:
        assert (folder / "bundle" / "model.keras").is_file()
    run.store.write(run.key("evaluate", "bundle", "saved_model", "saved_model.pb"), b"another graph")
    with (
        pytest.raises(StageFilesChanged, match=r"evaluate: bundle/saved_model/saved_model\.pb has SHA-256"),
        run.folder("evaluate"),
    ):
        pass


def test_hashes_rewritten_beside_the_file_are_not_believed(tmp_path: Path) -> None:
    run = Run(open_storage(tmp_path), "r")
    run.perform("evaluate", {}, written)
    folder = tmp_path / "runs" / "r" / "evaluate"
    (folder / "scores.parquet").write_bytes(b"other scores")
    (folder / FILES).unlink()
    with pytest.raises(StageFilesChanged, match=r"files\.json is missing"), run.folder("evaluate"):
        pass
    hashes = folder / "hashes"
    shutil.copytree(folder, hashes)
    (hashes / RESULT).unlink()
    record_files(hashes)
    shutil.move(hashes / FILES, folder / FILES)
    shutil.rmtree(hashes)
    with pytest.raises(StageFilesChanged, match=r"files\.json has other hashes"), run.folder("evaluate"):
        pass


def test_next_stage_depends_on_the_files_and_not_only_on_what_they_were_made_from(tmp_path: Path) -> None:
    run = Run(open_storage(tmp_path), "r")
    run.perform("fine_tune", {}, lambda folder: _saves(folder, b"one network"))
    one = run.after("fine_tune")
    shutil.rmtree(tmp_path / "runs" / "r" / "fine_tune")
    run.perform("fine_tune", {}, lambda folder: _saves(folder, b"another"))
    assert run.after("fine_tune")["result"] == one["result"]
    assert run.after("fine_tune")["files"] != one["files"]


def test_run_of_an_earlier_version_has_no_hashes_and_is_read(tmp_path: Path) -> None:
    run = Run(open_storage(tmp_path), "r")
    run.perform("evaluate", {}, written)
    folder = tmp_path / "runs" / "r" / "evaluate"
    (folder / FILES).unlink()
    result = json.loads((folder / RESULT).read_text())
    del result["files"]
    (folder / RESULT).write_text(json.dumps(result))
    with run.folder("evaluate") as found:
        assert (found / "scores.parquet").is_file()
    assert "files" not in run.after("evaluate")


def _saves(folder: Path, network: bytes) -> StageResult:
    (folder / "model.keras").write_bytes(network)
    return StageResult("fine_tune")
