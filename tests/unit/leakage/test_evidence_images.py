"""Every alarm leaves images as evidence: the pair it is about, or patches typical of the predictive property."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.leakage import Probe
from steel_training.leakage.evidence_images import LARGEST_SIDE, Shown, read_pair_images, write_pair_images

IMAGES = [np.full((20, 20), number, np.uint8) for number in range(60)]


@pytest.fixture
def profile() -> pd.DataFrame:
    row = np.arange(60)
    return pd.DataFrame(
        {
            "patch_id": [f"p{number}" for number in row],
            "source_id": [f"s{number // 6}" for number in row],
            "group": [f"g{number // 6}" for number in row],
            "part": np.array(["train", "val", "test"])[row // 6 % 3],
            "label": row % 2,
            "noise": 1.0 + 5.0 * (row % 2) + 0.01 * row,
            "path": np.where(row % 2, "defective/", "clean/") + row.astype(str).astype(object) + ".png",
            "x": 64 + 3 * (row % 2),
            "y": 5 * (row % 2),
            "modified": 1_767_614_400.0 + 86_400 * (row % 2),
            "line": np.where(row % 2, "two", "one"),
        },
        index=row + 100,
    )


def alarm(code: str, evidence: dict[str, object]) -> Probe:
    return Probe(code, False, 1.0, 0.0, "found", evidence)


def shown(folder: Path, profile: pd.DataFrame, *probes: Probe) -> list[Shown]:
    write_pair_images(folder, probes, profile, lambda row: IMAGES[row])
    return read_pair_images(folder)


def test_named_pair_is_shown_with_its_agreement(tmp_path: Path, profile: pd.DataFrame) -> None:
    pair = {"first": "p3", "second": "p9", "turn": "as it is", "shift": [0, 12], "common": 0.4, "correlation": 0.987}
    (found,) = shown(tmp_path, profile, alarm("leak.overlap", {"pairs": [pair]}))
    assert (found.how, found.told) == ("the same steel: overlap 40%, correlation 0.99", "part")
    assert [(side.patch_id, side.part, side.label, side.group) for side in found.sides] == [
        ("p3", "train", "defective", "g0"),
        ("p9", "val", "defective", "g1"),
    ]
    assert found.frames == ((0.0, 0.0, 1.0, 0.4), (0.0, 0.6, 1.0, 1.0))
    assert [np.asarray(Image.open(tmp_path / "evidence" / name)).max() for name in found.files] == [3, 9]


@pytest.mark.parametrize(
    ("evidence", "one", "other"),
    [
        ({"properties": {"noise": 0.99}}, "noise 1.", "noise 6."),
        ({"columns": {"line": {"auc": 1.0}}}, "line one", "line two"),
        ({"kinds": {"line": {"one": {}, "two": {}}}}, "line one", "line two"),
        ({"usual place on the grid": {}}, "place on the grid 0, 0", "place on the grid 3, 5"),
        ({"usual place in the photograph": {}}, "place 64, 0", "place 67, 5"),
        ({"usual name": {}}, "file clean/…", "file defective/…"),
        ({"usually written": {}}, "written 2026-01-05", "written 2026-01-06"),
    ],
)
def test_label_evidence_shows_typical_patches(
    tmp_path: Path, profile: pd.DataFrame, evidence: dict[str, object], one: str, other: str
) -> None:
    found = shown(tmp_path, profile, alarm("leak.pixel_property", evidence))
    assert len(found) == 4
    for clean, defective in (each.sides for each in found):
        assert (clean.label, defective.label) == ("clean", "defective")
        assert clean.value.startswith(one)
        assert defective.value.startswith(other)
    assert {each.told for each in found} == {"label"}


def test_split_evidence_shows_typical_patches(tmp_path: Path, profile: pd.DataFrame) -> None:
    found = shown(tmp_path, profile, alarm("leak.parts_differ", {"properties": {"noise": 0.9}, "part": "test"}))
    assert {tuple(side.part for side in each.sides) for each in found} == {("train", "test")}
    assert {each.told for each in found} == {"part"}


def test_large_patches_are_shrunk_for_the_report(tmp_path: Path, profile: pd.DataFrame) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 600), dtype=np.uint8)
    write_pair_images(tmp_path, [alarm("leak.group", {"properties": {"noise": 1.0}})], profile, lambda row: noise)
    sizes = {
        Image.open(tmp_path / "evidence" / name).size for each in read_pair_images(tmp_path) for name in each.files
    }
    assert sizes == {(LARGEST_SIDE, LARGEST_SIDE // 2)}


def test_passed_unjudged_and_unreadable_are_not_shown(tmp_path: Path, profile: pd.DataFrame) -> None:
    quiet = Probe("leak.group", True, 0.0, 0.0, "none", {"groups": ["g0"]})
    assert shown(tmp_path, profile, quiet, Probe.unjudged("leak.two_cameras", "few"), alarm("leak.too_good", {})) == []

    def broken(_: int) -> np.ndarray:
        raise OSError("gone")

    write_pair_images(tmp_path, [alarm("leak.group", {"properties": {"noise": 1.0}})], profile, broken)
    assert read_pair_images(tmp_path) == []
