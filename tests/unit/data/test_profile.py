"""The profile: every file is measured once, in order, on all cores, whatever the files contain."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
from moto import mock_aws
from PIL import Image

import steel_training.data.profile as profile_module
from steel_training.data.images import decode
from steel_training.data.measurements import LEAVES_DATASET, MISSING_FILE, NO_PATH, OTHER_FORM, measure
from steel_training.data.profile import profile_patches
from steel_training.storage import StorageError, open_storage


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> tuple[Path, pd.DataFrame]:
    folder = make_dataset(tmp_path / "d", patches=40)
    return folder, pd.read_csv(folder / "manifest.csv", dtype={"source_id": "string"})


def test_statistics_match_the_pixels(dataset: tuple[Path, pd.DataFrame]) -> None:
    folder, manifest = dataset
    profile = profile_patches(open_storage(folder), manifest)
    assert profile["patch_id"].tolist() == manifest["patch_id"].tolist()
    for _, row in profile.iterrows():
        data = (folder / row["path"]).read_bytes()
        grey = decode(data)[..., 0].astype(float)
        assert row["brightness"] == pytest.approx(grey.mean())
        assert row["contrast"] == pytest.approx(grey.std())
        inner = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
        assert row["sharpness"] == pytest.approx(inner.var())
        assert (row["bytes"], row["format"], row["mode"], row["width"], row["height"]) == (
            len(data),
            "PNG",
            "L",
            48,
            48,
        )
        assert row["dark"] <= row["brightness"] <= row["bright"]
    assert profile["pixel_hash"].nunique() == len(profile)


def test_pixel_hash_is_independent_of_the_file_format(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8))
    hashes = set()
    for name, picture in {"a.png": image, "b.bmp": image, "c.tiff": image, "d.png": image.convert("RGB")}.items():
        picture.save(tmp_path / name)
        measured = measure((tmp_path / name).read_bytes())
        hashes.add(measured.pixel_hash)
    assert len(hashes) == 1
    turned = image.rotate(90)
    turned.save(tmp_path / "e.png")
    assert measure((tmp_path / "e.png").read_bytes()).pixel_hash not in hashes
    # The same pixel bytes in another shape are a different image.
    tall, wide = Image.new("L", (4, 9), 7), Image.new("L", (9, 4), 7)
    tall.save(tmp_path / "tall.png")
    wide.save(tmp_path / "wide.png")
    assert len({measure((tmp_path / f"{n}.png").read_bytes()).pixel_hash for n in ("tall", "wide")}) == 2


def test_bad_rows_become_values_and_paths_are_confined(dataset: tuple[Path, pd.DataFrame]) -> None:
    folder, manifest = dataset
    secret = folder.parent / "secret.png"
    Image.new("L", (48, 48), 9).save(secret)
    (folder / "patches" / "p0003.png").write_bytes((folder / "patches" / "p0003.png").read_bytes()[:200])
    manifest.loc[0, "path"] = "../secret.png"
    manifest.loc[1, "path"] = "patches/none.png"
    manifest.loc[2, "path"] = None
    manifest.loc[4, "path"] = str(secret)
    profile = profile_patches(open_storage(folder), manifest)
    assert profile["path_problem"].tolist()[:5] == [LEAVES_DATASET, MISSING_FILE, NO_PATH, "", LEAVES_DATASET]
    assert profile.loc[[0, 1, 2, 4], "brightness"].isna().all()
    assert "truncated" in profile.loc[3, "decode_error"]
    assert (profile["decode_error"][5:] == "").all()


def test_processes_and_threads_give_equal_profiles(
    dataset: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, manifest = dataset
    by_threads = profile_patches(open_storage(folder), manifest, workers=2)
    monkeypatch.setattr(profile_module, "_PROCESSES_FROM", 10)
    monkeypatch.setattr(profile_module, "_CHUNK", 7)
    reported = []
    by_processes = profile_patches(open_storage(folder), manifest, workers=2, progress=lambda *p: reported.append(p))
    pd.testing.assert_frame_equal(by_threads, by_processes)
    assert reported[-1] == (40, 40)


def test_profile_on_s3_equals_profile_in_a_folder(dataset: tuple[Path, pd.DataFrame]) -> None:
    folder, manifest = dataset
    local = profile_patches(open_storage(folder), manifest)
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="steel")
        storage = open_storage("s3://steel/d")
        storage.put_folder(folder, "", last="manifest.csv")
        pd.testing.assert_frame_equal(profile_patches(storage, manifest), local)


def test_unreachable_storage_stops_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a network failure made all files unreadable, the run would be blocked for the wrong reason."""
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:9", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with pytest.raises(StorageError, match="S3 cannot be reached"):
        profile_patches(open_storage("s3://steel/d"), pd.DataFrame({"path": ["a.png"]}))


def test_empty_manifest_has_an_empty_profile(tmp_path: Path) -> None:
    profile = profile_patches(open_storage(tmp_path), pd.DataFrame({"patch_id": [], "path": []}))
    assert (len(profile), "pixel_hash" in profile) == (0, True)


def test_a_name_in_another_unicode_form_is_told(dataset: tuple[Path, pd.DataFrame]) -> None:
    folder, manifest = dataset
    (folder / "patches" / "p0001.png").rename(folder / "patches" / unicodedata.normalize("NFD", "bänd.png"))
    (folder / "patches" / "p0002.png").unlink()
    manifest.loc[1, "path"] = "patches/bänd.png"
    problems = profile_patches(open_storage(folder), manifest)["path_problem"]
    assert problems[:4].tolist() == ["", OTHER_FORM, MISSING_FILE, ""]
