"""Each promise of the data contract, broken on purpose: the run is blocked under the right name, with the patches named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from steel_training.config import ValidationConfig
from steel_training.data.dataset import groups_of
from steel_training.data.drift import Comparison, Drift, Reading
from steel_training.data.profile import profile_patches
from steel_training.data.splits import assign_splits
from steel_training.storage import open_storage
from steel_training.validation.outcome import ValidationOutcome
from steel_training.validation.validate import validate_patches

LIMITS = ValidationConfig(min_patches=100)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> pd.DataFrame:
    folder = make_dataset(tmp_path_factory.mktemp("v") / "d")
    patches = pd.read_csv(folder / "manifest.csv", dtype={"source_id": "string", "group_id": "string"})
    patches["part"] = assign_splits(patches, seed=1, val_share=0.2, test_share=0.2)
    patches["group"] = groups_of(patches)
    return profile_patches(open_storage(folder), patches)


FIRST = Comparison(None, "there is no champion to compare with")


def judged(profile: pd.DataFrame, folder: Path, problem: str | None = None) -> ValidationOutcome:
    return validate_patches(profile, LIMITS, folder=folder, split_problem=problem, drift=FIRST)


def change(column: str, value: object, rows: int = 1) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(profile: pd.DataFrame) -> pd.DataFrame:
        profile = profile.copy()
        if profile[column].dtype != "string" and isinstance(value, str):
            profile[column] = profile[column].astype(object)
        profile.loc[profile.index[:rows], column] = value
        return profile

    return apply


def copy_pixels(part: tuple[str, str], label: tuple[int, int]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Makes a patch of one part and label the twin of one of another."""

    def apply(profile: pd.DataFrame) -> pd.DataFrame:
        profile = profile.copy()
        one, other = (
            profile.index[(profile["part"] == p) & (profile["label"] == v)][-1 if i else 0]
            for i, (p, v) in enumerate(zip(part, label, strict=True))
        )
        assert one != other
        profile.loc[other, "pixel_hash"] = profile.loc[one, "pixel_hash"]
        return profile

    return apply


def group_in_two_parts(profile: pd.DataFrame) -> pd.DataFrame:
    profile = profile.copy()
    row = profile.index[profile["part"] == "train"][0]
    profile.loc[row, "part"] = "test"
    return profile


def kinds(profile: pd.DataFrame, *, clean: str, defective: str, first_clean: str | None = None) -> pd.DataFrame:
    """Fills `defect_type`; p0001 is the first clean patch."""
    names = pd.Series(np.where(profile["label"] == 1, defective, clean), index=profile.index, dtype="string")
    if first_clean is not None:
        names[profile.index[profile["label"] == 0][0]] = first_clean
    return profile.assign(defect_type=names)


CRITICAL = {
    "a column is missing": (lambda p: p.drop(columns="label"), "data.required_columns", "no column label"),
    "too few patches": (lambda p: p.head(50), "data.row_count", "lists 50 patches; at least 100"),
    "no id": (change("patch_id", None, 3), "data.ids_present", "3 of 300 rows have no patch_id"),
    "no photograph": (change("source_id", None, 2), "data.ids_present", "p0000, p0001"),
    "an id twice": (change("patch_id", "same", 2), "data.unique_ids", "2 of 300 rows share"),
    "another label": (change("label", 2), "data.labels", r"p0000 \(2\)"),
    "a label that is text": (change("label", "scratch"), "data.labels", "scratch"),
    "no label": (change("label", None), "data.labels", "1 of 300 labels"),
    "one class only": (lambda p: p.assign(label=1), "data.both_classes", "0 clean and 300 defective"),
    "a kind of defect at a clean patch": (
        lambda p: kinds(p, clean="", defective="scratch", first_clean="pit"),
        "data.label_contradicts_defect_type",
        r"1 of 300 labels .*1 clean patches.* p0001 \(clean, and defect_type is pit\).* Correct label",
    ),
    "labels inverted": (
        lambda p: kinds(p, clean="scratch", defective=""),
        "data.label_contradicts_defect_type",
        r"300 of 300 .*\(200 clean patches .* 100 defective ones .* labels look inverted.* write 1 for each",
    ),
    "inverted, with a word for clean": (
        lambda p: kinds(p, clean="scratch", defective="OK"),
        "data.label_contradicts_defect_type",
        "defective, and defect_type is OK",
    ),
    "a defective patch of no kind": (
        lambda p: change("defect_type", "", 1)(kinds(p, clean="", defective="scratch")),
        "data.label_contradicts_defect_type",
        r"p0000 \(defective, and defect_type is empty\)",
    ),
    "a class too rare": (
        lambda p: p.assign(label=np.arange(len(p)) < 2).astype({"label": int}),
        "data.class_share",
        "298 are clean and 2 defective",
    ),
    "a part of another name": (change("part", "dev"), "data.split_values", "dev"),
    "a part without a class": (
        lambda p: p.assign(label=np.where(p["part"] == "val", 0, p["label"])),
        "data.both_classes_in_every_split",
        "val",
    ),
    "a group in two parts": (group_in_two_parts, "data.disjoint_groups", "coil"),
    "a path that leaves": (change("path_problem", "leaves the dataset"), "data.path_inside", "p0000"),
    "a missing file": (change("path_problem", "missing file", 12), "data.files_present", "p0009.* and 2 more"),
    "a torn file": (change("decode_error", "truncated"), "data.decodable", r"p0000 \(truncated\)"),
    "16 bits": (change("mode", "I;16"), "data.mode", "I;16"),
    "grey among colour": (change("mode", "RGB"), "data.one_mode", "p0000"),
    "another size": (change("width", 47), "data.one_size", "48"),
    "too many dark": (change("brightness", 1.0, 7), "data.brightness", r"7 of 300 patches \(2\.3%\)"),
    "too many blank": (change("contrast", 0.0, 7), "data.contrast", "are blank"),
    "the same image in train and test": (copy_pixels(("train", "test"), (0, 0)), "data.duplicate_content", "2 of 300"),
    "the same image under both labels": (copy_pixels(("train", "train"), (0, 1)), "data.duplicate_content", "2 of 300"),
}


@pytest.mark.parametrize("name", CRITICAL)
def test_a_broken_promise_blocks_under_its_name(honest: pd.DataFrame, tmp_path: Path, name: str) -> None:
    broken, code, said = CRITICAL[name]
    outcome = judged(broken(honest), tmp_path)
    assert not outcome.success
    reasons = {reason.code: reason.message for reason in outcome.reasons}
    assert code in reasons
    assert pd.Series([reasons[code]]).str.contains(said, regex=True).all(), reasons[code]
    too_few = {"data.both_classes_in_every_split"} if code == "data.class_share" else set()
    assert set(reasons) - too_few == {code}, "one fault, one reason"


WARNINGS = {
    "some dark": (change("brightness", 1.0, 5), "data.brightness"),
    "some blank": (change("contrast", 0.0, 5), "data.contrast"),
    "far out of balance": (lambda p: p.assign(label=(np.arange(len(p)) % 25 == 0).astype(int)), "data.class_imbalance"),
    "mostly defective": (lambda p: p.assign(label=(np.arange(len(p)) % 3 > 0).astype(int)), "data.mostly_defective"),
    "another format": (change("format", "JPEG"), "data.format"),
    "the same image twice in one part": (copy_pixels(("train", "train"), (0, 0)), "data.duplicate_content"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_only_odd_is_told_and_blocks_nothing(honest: pd.DataFrame, tmp_path: Path, name: str) -> None:
    odd, code = WARNINGS[name]
    limits = LIMITS.model_copy(update={"min_per_class_and_split": 1})
    outcome = validate_patches(odd(honest), limits, folder=tmp_path, split_problem=None, drift=FIRST)
    assert outcome.success, outcome.reasons
    assert [warning.code for warning in outcome.warnings] == [code]


TWO_KINDS = np.where(np.arange(300) % 6 == 0, "scratch", "pit")


@pytest.mark.parametrize(
    ("clean", "defective"),
    [("", "scratch"), ("ok", "pit"), ("No_Defect", "pit"), ("none", "0"), ("", ""), ("einwandfrei", TWO_KINDS)],
)
def test_words_for_no_defect_contradict_no_label(honest: pd.DataFrame, tmp_path: Path, clean, defective) -> None:
    outcome = judged(kinds(honest, clean=clean, defective=defective), tmp_path)
    assert (outcome.reasons, outcome.warnings) == ((), ())


def test_honest_data_passes_and_leaves_data_docs_and_the_suite(honest: pd.DataFrame, tmp_path: Path) -> None:
    outcome = judged(honest, tmp_path)
    assert (outcome.success, outcome.reasons, outcome.warnings) == (True, (), ())
    assert all(expectation.success for expectation in outcome.expectations)
    page = (tmp_path / outcome.data_docs).read_text(encoding="utf-8")
    assert "<html" in page
    pages = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / outcome.data_docs).parent.rglob("*.html"))
    for expectation in outcome.expectations:
        assert expectation.title in pages
    assert "http://" not in page.replace("http://www.w3.org", ""), "no address outside: it opens from disk"
    suites = list((tmp_path / "expectations").rglob("*.json"))
    assert suites
    assert all(json.loads(suite.read_text(encoding="utf-8"))["expectations"] for suite in suites)


def test_what_cannot_be_judged_says_why_and_is_not_called_met(honest: pd.DataFrame, tmp_path: Path) -> None:
    unsplit = honest.assign(part="")
    outcome = judged(unsplit, tmp_path, "1 groups hold clean patches; at least 5 are needed")
    assert [reason.code for reason in outcome.reasons] == ["data.both_classes_in_every_split"]
    assert "1 groups hold clean patches" in outcome.reasons[0].message
    unjudged = [e for e in outcome.expectations if e.success is None]
    assert {e.code for e in unjudged} >= {"data.disjoint_groups", "data.split_values"}
    assert all(e.message.startswith("Not judged") for e in unjudged)


def test_no_patches_at_all_is_a_verdict(honest: pd.DataFrame, tmp_path: Path) -> None:
    """Column expectations pass on an empty table; the row count must not."""
    outcome = judged(honest.head(0), tmp_path, "0 groups hold clean patches")
    assert "data.row_count" in {reason.code for reason in outcome.reasons}


def test_manifest_text_reaches_the_documents_escaped(honest: pd.DataFrame, tmp_path: Path) -> None:
    outcome = judged(change("patch_id", "<script>alert(1)</script>", 2)(honest), tmp_path)
    assert "<script>alert(1)</script>" in outcome.reasons[0].message, "in a terminal it stands as it is"
    for page in (tmp_path / outcome.data_docs).parent.rglob("*.html"):
        assert "<script>alert" not in page.read_text(encoding="utf-8")


def drifted(psi: float, chance: float) -> Comparison:
    found = (
        Drift("brightness", "test", psi, chance, Reading.DRIFTED),
        Drift("contrast", "all", 0.01, 0.05, Reading.STABLE),
    )
    return Comparison("20261101-old", "", found)


@pytest.mark.parametrize(
    ("psi", "chance", "limit", "blocks", "warns"),
    [
        (0.4, 0.1, None, False, True),
        (0.4, 0.1, 0.3, True, False),
        (0.4, 0.1, 0.5, False, True),
        (0.4, 0.6, 0.3, False, False),
        (0.2, 0.1, 0.3, False, False),
    ],
)
def test_drift_warns_and_blocks_only_where_a_limit_was_set(
    honest: pd.DataFrame, tmp_path: Path, psi: float, chance: float, limit: float | None, blocks: bool, warns: bool
) -> None:
    limits = LIMITS.model_copy(update={"max_drift": limit})
    outcome = validate_patches(honest, limits, folder=tmp_path, split_problem=None, drift=drifted(psi, chance))
    assert [reason.code for reason in outcome.reasons] == ["data.drift"] * blocks
    assert [reason.code for reason in outcome.warnings] == ["data.drift"] * warns
    if blocks or warns:
        (said,) = [*outcome.reasons, *outcome.warnings]
        assert "champion 20261101-old" in said.message
        assert "brightness in test (0.4)" in said.message
        assert "contrast" not in said.message
        assert "data.drift" in "".join(page.read_text() for page in (tmp_path / "data_docs").rglob("*.html"))


def test_drift_without_champion_or_without_its_profile(honest: pd.DataFrame, tmp_path: Path) -> None:
    assert "data.drift" not in {each.code for each in judged(honest, tmp_path / "first").expectations}
    unknown = Comparison("20260101-old", "champion 20260101-old has no profile stored")
    outcome = validate_patches(honest, LIMITS, folder=tmp_path / "old", split_problem=None, drift=unknown)
    (said,) = [each for each in outcome.expectations if each.code == "data.drift"]
    assert said.success is None
    assert "no profile stored" in said.message
