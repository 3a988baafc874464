"""`steel-training labels apply` as typed: a new version, whole or absent, that differs in the agreed labels only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.data.splits import assign_splits
from steel_training.data.versions import dated_versions
from steel_training.labels.answers import Answer, Said, append_answers
from steel_training.storage import open_storage
from steel_training.storage.folder import FolderStorage

OLD, NEW = "2026-01-01", "2026-02-03"


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    make_dataset(tmp_path / "data" / OLD, patches=120)
    return tmp_path / "data"


@pytest.fixture
def apply(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, dict]]:
    """Runs the command; returns exit code, what a person reads, and the answer."""

    def call(*options: str, data: str = "") -> tuple[int, str, dict]:
        capsys.readouterr()
        words = ["labels", "apply", data or str(dataset), "--store", str(tmp_path / "store")]
        code = main([*words, *(options or ("--date", NEW))])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, err, json.loads(out.splitlines()[-1]) if out else {}

    return call


def say(dataset: Path, *given: tuple[str, str, bool], by: str = "Ada", **change: str) -> None:
    found = find_dataset(str(dataset))
    first = Answer(found.uri, fingerprint(found), "", Said.CLEAN, by, "2026-02-01T10:00:00+00:00", 1.5, False)
    answers = [replace(first, patch_id=patch, said=Said(said), blind=blind, **change) for patch, said, blind in given]
    append_answers(open_storage(dataset.parent / "store"), by, answers)


def split_of(dataset: Path) -> dict[str, str]:
    manifest = find_dataset(str(dataset)).manifest
    splits = assign_splits(manifest, seed=20, val_share=0.2, test_share=0.2)
    return dict(zip(manifest["patch_id"], splits, strict=True))


def manifests(dataset: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    one, other = (pd.read_csv(dataset / day / "manifest.csv").set_index("patch_id") for day in (OLD, NEW))
    return one, other


def test_new_version_differs_in_agreed_labels_only(dataset: Path, apply: Callable[..., tuple[int, str, dict]]) -> None:
    splits = split_of(dataset)
    train = [name for name, split in splits.items() if split == "train"][:3]
    test = [name for name, split in splits.items() if split == "test"][:2]
    before, _ = manifests_before(dataset)
    turned = {name: ("clean", "defective")[1 - before.loc[name, "label"]] for name in (*train, *test)}
    say(dataset, (train[0], turned[train[0]], False), (train[1], turned[train[1]], True))
    say(dataset, (test[0], turned[test[0]], True), (test[1], turned[test[1]], False), by="Bo")
    say(dataset, (train[2], "clean", False), by="Bo")
    say(dataset, (train[2], "defective", False), by="Cy")
    code, said, answer = apply()
    assert code == 0
    assert answer["changed"] == 3
    assert answer["contradicting_patches"] == [train[2]]
    assert test[1] in said, "not blind"
    one, other = manifests(dataset)
    assert list(one.index[one["label"] != other["label"]]) == sorted([train[0], train[1], test[0]])
    pd.testing.assert_frame_equal(one.drop(columns="label"), other.drop(columns=["label", "split"]))
    assert other["split"].to_dict() == splits, "the same patches are tested before and after"
    record = pd.read_csv(dataset / NEW / "corrections.csv").set_index("patch_id")
    assert record.loc[test[0], ["was", "label", "by", "blind"]].tolist() == [
        *(one.loc[test[0], "label"], other.loc[test[0], "label"], "Bo", 1)
    ]
    assert set(dated_versions(str(dataset))) == {OLD, NEW}, "the watcher takes it up"
    assert find_dataset(str(dataset)).version == NEW


def manifests_before(dataset: Path) -> tuple[pd.DataFrame, None]:
    return pd.read_csv(dataset / OLD / "manifest.csv").set_index("patch_id"), None


def test_record_of_the_ingest_goes_along(dataset: Path, apply: Callable[..., tuple[int, str, dict]]) -> None:
    (dataset / OLD / "ingest.json").write_text('{"grey_range": {"low": 5, "high": 4000}}')
    say(dataset, ("p0000", "clean", True))
    assert apply()[0] == 0
    assert (dataset / NEW / "ingest.json").read_text() == (dataset / OLD / "ingest.json").read_text()


def test_images_are_not_stored_a_second_time(dataset: Path, apply: Callable[..., tuple[int, str, dict]]) -> None:
    say(dataset, ("p0001", "defective", True))
    assert apply()[0] == 0
    for file in (dataset / OLD / "patches").iterdir():
        assert file.samefile(dataset / NEW / "patches" / file.name)
    assert not (dataset / OLD / "manifest.csv").samefile(dataset / NEW / "manifest.csv")


def test_on_s3_the_version_is_whole(
    dataset: Path, s3: str, tmp_path: Path, apply: Callable[..., tuple[int, str, dict]]
) -> None:
    target = open_storage(f"{s3}/labels-apply")
    target.put_folder(dataset / OLD, OLD, last="manifest.csv")
    found = find_dataset(target.uri)
    answer = Answer(found.uri, fingerprint(found), "p0001", Said.DEFECTIVE, "Ada", "2026-02-01T10:00:00+00:00", 1, True)
    append_answers(open_storage(tmp_path / "store"), "ada", [answer])
    assert apply(data=target.uri, *("--date", NEW))[0] == 0  # noqa: B026
    made = find_dataset(target.uri)
    assert made.version == NEW
    assert made.manifest.set_index("patch_id").loc["p0001", "label"] == 1
    assert all(made.storage.exists(path) for path in made.manifest["path"])


def changed_since(dataset: Path) -> None:
    manifest = pd.read_csv(dataset / OLD / "manifest.csv")
    manifest.loc[5, "label"] ^= 1
    manifest.to_csv(dataset / OLD / "manifest.csv", index=False)


REFUSED = {
    "no answers": ([], None, ("--date", NEW), "none at all"),
    "unknown patch": ([("nobody", "clean", True)], None, ("--date", NEW), "does not have: nobody"),
    "nothing changes": ([("p0001", "clean", True)], None, ("--date", NEW), "1 are confirmed"),
    "changed since": ([("p0001", "defective", True)], changed_since, ("--date", NEW), "changed after 1 of 1 answers"),
    "version is there": ([("p0001", "defective", True)], None, ("--date", OLD), f"has a version {OLD} already"),
    "before the newest": ([("p0001", "defective", True)], None, ("--date", "2025-12-31"), "before the newest version"),
    "no date": ([("p0001", "defective", True)], None, ("--date", "soon"), "YYYY-MM-DD"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_applied_writes_nothing(
    case: str, dataset: Path, apply: Callable[..., tuple[int, str, dict]]
) -> None:
    given, change, options, said = REFUSED[case]
    if given:
        say(dataset, *given)
    if change:
        change(dataset)
    code, err, answer = apply(*options)
    assert (code, answer) == (2, {})
    assert said in err
    assert [path.name for path in dataset.iterdir()] == [OLD]


def test_a_dataset_without_versions_is_refused(dataset: Path, apply: Callable[..., tuple[int, str, dict]]) -> None:
    code, err, _ = apply(data=str(dataset / OLD))
    assert code == 2
    assert "has no dated versions" in err


def test_a_crash_while_writing_leaves_no_version(
    dataset: Path, apply: Callable[..., tuple[int, str, dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    say(dataset, ("p0001", "defective", True))
    from steel_training.storage import folder

    def crash(source: Path, target: Path) -> None:
        if target.name == "p0060.png":
            raise KeyboardInterrupt
        target.hardlink_to(source)

    with monkeypatch.context() as broken:
        broken.setattr(folder, "link_or_copy", crash)
        assert apply()[0] == 1
    assert [path.name for path in dataset.iterdir() if not path.name.startswith(".")] == [OLD]
    assert apply()[0] == 0, "and again"


def test_where_files_cannot_be_linked_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "manifest.csv").write_text("m")
    monkeypatch.setattr(os, "link", no_links)
    FolderStorage(tmp_path / "data").put_linked_folder(
        tmp_path / "new", "v", {"patches/a.png": tmp_path / "a.png"}, last="manifest.csv"
    )
    assert (tmp_path / "data/v/patches/a.png").read_bytes() == b"a"
