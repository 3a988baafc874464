"""The probes that learn: non-defect predictors of the label are named; real defects and small datasets raise no alarm."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from steel_training.data.measurements import measure
from steel_training.ingest.synthetic.sample import photograph_coil
from steel_training.ingest.tiling import CutRule, cut
from steel_training.leakage.baseline_check import LEARNING_PROBES
from steel_training.leakage.capture_device import two_cameras
from steel_training.leakage.distribution_shift import splits_differ
from steel_training.leakage.file_metadata import file_metadata
from steel_training.leakage.group_effect import group_effect, shuffled_labels
from steel_training.leakage.metadata import manifest_columns, names
from steel_training.leakage.pixel_property import pixel_property
from steel_training.leakage.separability import separability


def stored(image: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, form, **options)
    return data.getvalue()


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """Patches of 16 coils, both labels on most source images."""
    return [
        {
            "pixels": piece.pixels,
            "label": piece.label,
            "source_id": photograph.name,
            "group": photograph.coil,
            "part": ("train", "train", "val", "test")[number // 2 % 4],
            "line": photograph.line,
            "captured_at": photograph.captured_at.isoformat(),
        }
        for number in range(16)
        for photograph in photograph_coil(number, photographs=2, shape=(256, 448), seed=11)
        for piece in cut(photograph.pixels, photograph.mask, CutRule())
        if piece.label is not None
    ]


Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def profile_of(rows: list[dict]) -> Callable[..., pd.DataFrame]:
    measures_of = cache(measure)  # most changes leave the files of one class as they were

    def profile(change: Callable[[dict], bytes] = lambda row: stored(row["pixels"])) -> pd.DataFrame:
        measured = [measures_of(change(row))._asdict() for row in rows]
        table = pd.DataFrame(rows).drop(columns="pixels")
        table["patch_id"] = [f"p{i}" for i in range(len(table))]
        table["path"] = "patches/" + table["patch_id"] + ".png"
        return pd.concat([table, pd.DataFrame(measured)], axis=1)

    return profile


@pytest.fixture(scope="module")
def honest(profile_of: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return profile_of()


@pytest.mark.parametrize("probe", LEARNING_PROBES, ids=lambda probe: probe.__name__)
def test_real_defects_raise_no_alarm(probe, honest: pd.DataFrame) -> None:
    verdict = probe(honest)
    assert verdict.passed, verdict.message


FILES: dict[str, Callable[[dict], bytes]] = {
    "another format": lambda row: stored(row["pixels"], "PNG" if row["label"] else "BMP"),
    "another JPEG quality": lambda row: stored(row["pixels"], "JPEG", quality=95 if row["label"] else 85),
    "colour": lambda row: stored(np.stack([row["pixels"]] * 3, axis=-1) if row["label"] else row["pixels"]),
    "packed harder": lambda row: stored(row["pixels"], compress_level=9 if row["label"] else 1),
    "with a comment": lambda row: stored(row["pixels"], "JPEG", quality=90, comment=b"x" * 300 * row["label"]),
}


@pytest.mark.parametrize("how", FILES)
def test_differently_encoded_files_are_a_leak(how: str, profile_of) -> None:
    verdict = file_metadata(profile_of(FILES[how]))
    assert verdict.blocks, verdict.message
    assert verdict.statistic >= verdict.threshold
    assert verdict.evidence


def framed(pixels: np.ndarray) -> np.ndarray:
    changed = pixels.copy()
    changed[[0, -1]] = 128
    changed[:, [0, -1]] = 128
    return changed


def stretched(pixels: np.ndarray) -> np.ndarray:
    low, high = np.percentile(pixels, (1, 99))
    return np.clip((pixels - low) * 255.0 / max(high - low, 1), 0, 255).astype(np.uint8)


PIXELS: dict[str, Change] = {
    "a frame": framed,
    "soft": lambda pixels: gaussian_filter(pixels, 1.0),
    "stretched": stretched,
    "noisy": lambda p: np.clip(p + np.random.default_rng(0).normal(0, 6, p.shape), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("how", PIXELS)
def test_software_trace_on_one_class_is_a_leak(how: str, profile_of) -> None:
    change = PIXELS[how]
    verdict = pixel_property(profile_of(lambda row: stored(change(row["pixels"]) if row["label"] else row["pixels"])))
    assert verdict.blocks, verdict.message
    assert verdict.evidence["properties"]


def test_faint_trace_on_one_class_warns(profile_of) -> None:
    random = np.random.default_rng(0)

    def noisier(row: dict) -> np.ndarray:
        faint = random.normal(0, 1, row["pixels"].shape) * row["label"]
        return np.rint(row["pixels"] + faint).clip(0, 255).astype(np.uint8)

    verdict = pixel_property(profile_of(lambda row: stored(noisier(row))))
    assert (verdict.passed, verdict.blocks) == (False, False)
    assert verdict.statistic >= verdict.threshold
    assert verdict.evidence["properties"]


def of_two_cameras(honest: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Clean patches of the odd source images, and defective ones of the even, as seen by another camera."""
    odd = honest["source_id"].str[-1].astype(int) % 2 == 1
    return pd.concat([honest[odd & (honest["label"] == 0)], changed[~odd & (changed["label"] == 1)]])


def test_only_one_camera_per_class_is_a_leak(honest: pd.DataFrame, profile_of) -> None:
    other = profile_of(lambda row: stored(gaussian_filter(row["pixels"], 0.7)))
    verdict = two_cameras(of_two_cameras(honest, other))
    assert verdict.blocks, verdict.message
    assert not two_cameras(of_two_cameras(honest, honest)).blocks


def test_line_or_day_per_class_is_a_leak(honest: pd.DataFrame) -> None:
    odd = honest["source_id"].str[-1].astype(int) % 2 == 1
    pure = honest[odd == (honest["label"] == 0)]
    day = pd.Series(np.where(pure["label"] == 1, "2026-03-", "2026-02-"), index=pure.index)
    late = pure.assign(captured_at=day + "0" + pure["source_id"].str[-1])
    for leaky, name in ((pure.assign(line=np.where(pure["label"] == 1, "A", "B")), "line"), (late, "captured_at")):
        verdict = manifest_columns(leaky)
        assert verdict.blocks, verdict.message
        assert name in verdict.evidence["columns"]


@pytest.mark.parametrize("value", ["scratch", 0.4], ids=["text", "number"])
def test_column_recorded_per_patch_only_warns(value: object, honest: pd.DataFrame) -> None:
    noted = honest.assign(remark=pd.Series([value] * len(honest), dtype=object).where(honest["label"] == 1))
    noted["remark"] = noted["remark"].astype("float64" if isinstance(value, float) else "string")
    verdict = manifest_columns(noted)
    assert not verdict.passed
    assert not verdict.blocks


def test_file_names_that_predict_the_label_warn(honest: pd.DataFrame) -> None:
    folder = np.where(honest["label"] == 1, "bad/", "good/")
    verdict = names(honest.assign(path=folder + honest["patch_id"]))
    assert not verdict.passed
    assert not verdict.blocks


def test_brighter_split_warns_and_names_brightness(honest: pd.DataFrame) -> None:
    moved = honest.copy()
    columns = ["brightness", "dark", "bright"]
    moved.loc[moved["part"] == "test", columns] += 120
    verdict = splits_differ(moved)
    assert not verdict.passed
    assert not verdict.blocks
    assert set(verdict.evidence["properties"]) & set(columns)


def test_coil_effect_warns_of_random_splits(honest: pd.DataFrame) -> None:
    by_coil = honest.assign(label=(honest["group"].str[4:].astype(int) - 1) // 4 % 2)
    verdict = group_effect(by_coil)
    assert not verdict.passed
    assert not verdict.blocks
    assert shuffled_labels(by_coil).passed


def test_shuffled_labels_are_predicted_where_folds_divide_groups(honest: pd.DataFrame) -> None:
    lamps = np.random.default_rng(5).uniform(-40, 40, honest["group"].nunique())
    of_coil = honest["group"].str[4:].astype(int) - 1
    lit = honest.assign(brightness=honest["brightness"] + lamps[of_coil], label=of_coil // 4 % 2)
    assert shuffled_labels(lit).passed
    verdict = shuffled_labels(lit, kept_together="patch_id")
    assert verdict.blocks
    assert verdict.statistic > verdict.threshold


BAD: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "empty": lambda p: p.iloc[:0],
    "ten patches": lambda p: p.iloc[::50].head(10),
    "one group": lambda p: p.assign(group="coil"),
    "one label": lambda p: p.assign(label=0),
    "one part": lambda p: p.assign(part="train"),
    "ids are numbers": lambda p: p.assign(group=p["group"].str[4:].astype(int), source_id=range(len(p)), patch_id=range(len(p)), path=range(len(p))),
    "nothing was measured": lambda p: p.assign(**dict.fromkeys(("packing", "jpeg_tables", "brightness", "contrast", "noise", "blur", "frame", "mode", "format"), None)),
    "constant": lambda p: p.assign(brightness=0.0, contrast=0.0, noise=0.0, blur=0.0, frame=0.0),
    "metadata is NaN": lambda p: p.assign(line=np.nan, captured_at=None, shift=np.inf, crew=[None, "a"] * (len(p) // 2) + [None] * (len(p) % 2)),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("probe", LEARNING_PROBES, ids=lambda probe: probe.__name__)
def test_bad_input_never_blocks(probe, bad: str, honest: pd.DataFrame) -> None:
    verdict = probe(BAD[bad](honest))
    assert not verdict.blocks, verdict.message
    assert np.isfinite(verdict.statistic)
    assert verdict.message


def test_property_without_values_is_ignored() -> None:
    labels, groups = np.arange(200) % 2, np.arange(200) // 10
    unknown = pd.DataFrame({"noise": np.full(200, np.nan)})
    assert separability(unknown, labels, groups).auc == pytest.approx(0.5)
    assert separability(unknown.assign(blur=labels), labels, groups).auc == pytest.approx(1.0)
