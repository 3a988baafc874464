"""The cache returns the network outputs of every patch and augmentation, and computes none of them twice."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import pytest
from fill_cache import fill_cache
from PIL import Image

from steel_training.data.images import ImageUnreadable
from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage, scratch
from steel_training.storage.scratch import ScratchFull
from steel_training.training.feature_cache import FeatureCache, cache, network_digest
from steel_training.training.feature_cache.cache import BATCH
from steel_training.training.feature_cache.row_store import RowStore
from steel_training.training.preprocessing import AUGMENTATIONS, augment, resize


def test_cached_features_equal_the_network_outputs(patches, network, tmp_path):
    arrays = FeatureCache(tmp_path).arrays(patches, network, key={}, size=16, augmentations=len(AUGMENTATIONS))
    pixels = np.stack([np.asarray(Image.open(patches.storage.path(p)).convert("RGB")) for p in patches.paths])
    for number, name in enumerate(AUGMENTATIONS):
        for array, direct in zip(arrays, network(augment(resize(pixels, 16), name)), strict=True):
            assert array.dtype == (
                np.float32 if len(array.shape) == 3 else np.float16
            )  # (augmentations, n, channels) are vectors
            rows = np.arange(len(patches))
            taken = array.take(np.full(len(rows), number), rows).astype(np.float32)
            assert np.allclose(taken, np.asarray(direct), rtol=1e-3, atol=1e-4)


def test_cached_features_are_read_without_opening_images(patches, network, tmp_path, monkeypatch, counted):
    counting = counted(network)
    first = FeatureCache(tmp_path).arrays(patches, counting, key={"n": 1}, size=16, augmentations=2)
    assert counting.asked == 2 * len(patches)
    monkeypatch.setattr(cache, "read_batches", None)
    again = FeatureCache(tmp_path).arrays(patches, counting, key={"n": 1}, size=16, augmentations=2)
    assert counting.asked == 2 * len(patches)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(first, again, strict=True))


def test_only_new_patches_of_a_grown_dataset_are_computed(network, tmp_path, counted, patch_set):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old = patch_set(tmp_path / "old", range(100))
    grown = patch_set(tmp_path / "new", range(130), version="b")
    for number in range(130):
        (tmp_path / "new" / f"{number}.png").rename(tmp_path / "new" / f"p{number}.png")
    order = np.random.default_rng(5).permutation(130)
    grown = replace(grown, paths=tuple(f"p{number}.png" for number in order), labels=order % 2)
    counting = counted(network)
    asked = {"key": {}, "size": 16, "augmentations": 2}
    FeatureCache(tmp_path).arrays(old, counting, **asked)
    assert counting.asked == 2 * 100
    found = FeatureCache(tmp_path).arrays(grown, counting, **asked)
    assert counting.asked == 2 * 130
    afresh = FeatureCache(tmp_path / "afresh").arrays(grown, network, **asked)
    for array, direct in zip(found, afresh, strict=True):
        assert np.allclose(np.asarray(array, np.float32), np.asarray(direct, np.float32), atol=1e-3)
    FeatureCache(tmp_path).arrays(grown, counting, key={}, size=16, augmentations=3)
    assert counting.asked == 2 * 130 + 130, "one more view"


def test_equal_patches_are_computed_once(network, tmp_path, counted, patch_set):
    twice = patch_set(tmp_path, range(3))
    twice = replace(twice, paths=(*twice.paths, *twice.paths[::-1]), labels=np.zeros(6, int))
    counting = counted(network)
    pooled = np.asarray(FeatureCache(tmp_path).arrays(twice, counting, key={}, size=16)[1])[0]
    assert counting.asked == 3
    assert np.array_equal(pooled[:3], pooled[:2:-1])


def test_any_changed_input_is_computed_again(patches, network, tmp_path, monkeypatch, counted):
    import keras

    other = keras.models.clone_model(network)
    other.set_weights([array * 1.001 for array in network.get_weights()])
    relu = keras.Model(network.input, keras.layers.ReLU()(network.outputs[0]))
    counting = counted(network)

    def asked(asked_of: Any = None, **change: Any) -> int:
        network_asked = counting if asked_of is None else asked_of
        before = network_asked.asked
        FeatureCache(tmp_path).arrays(
            patches,
            network_asked,
            **{"key": {"network": network_digest(network)}, "size": 16, "augmentations": 1} | change,
        )
        return int(network_asked.asked - before)

    count = len(patches)
    assert asked() == count
    assert asked() == 0
    assert asked(key={"network": network_digest(other)}) == count
    assert asked(key={"network": network_digest(relu)}) == count
    assert asked(dtype="float32") == count
    assert asked(counted(lambda pixels, training: [pixels]), size=18, key={}) == count
    assert asked(counted(lambda pixels, training: [pixels]), size=17, key={}) == count
    monkeypatch.setattr(cache, "_code", lambda: "another way to resize")
    assert asked() == count


def test_new_file_under_an_old_name_is_another_patch(network, tmp_path, counted, patch_set):
    before = patch_set(tmp_path, range(3))
    counting = counted(network)
    FeatureCache(tmp_path).arrays(before, counting, key={}, size=16)
    Image.fromarray(np.zeros((20, 24), np.uint8)).save(tmp_path / "1.png")
    after = PatchSet(before.storage, before.paths, before.labels, "of the changed dataset")
    found = np.asarray(FeatureCache(tmp_path).arrays(after, counting, key={}, size=16)[1])[0]
    assert counting.asked == 4
    black = np.asarray(network(np.zeros((1, 16, 16, 3), np.float32))[1])[0]
    assert np.allclose(found[1], black, atol=1e-3)


def test_interrupted_pass_resumes_without_torn_rows(network, tmp_path, monkeypatch, counted, patch_set):
    monkeypatch.setattr(cache, "_COMMITTED_EVERY", BATCH)
    many = patch_set(tmp_path, range(3 * BATCH))
    calls = 0

    def interrupted(pixels: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return network(pixels)

    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path).arrays(many, interrupted, key={}, size=16)
    counting = counted(network)
    found = FeatureCache(tmp_path).arrays(many, counting, key={}, size=16)
    assert counting.asked == BATCH
    afresh = FeatureCache(tmp_path / "afresh").arrays(many, network, key={}, size=16)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(found, afresh, strict=True))


def test_concurrent_processes_compute_each_patch_once(patch_set, forks: ForkServerContext, tmp_path):
    count = 4 * BATCH
    for name in ("patches", "scratch"):
        (tmp_path / name).mkdir()
    part = patch_set(tmp_path / "patches", range(count))
    places = (tmp_path / "patches", tmp_path / "scratch")
    both = [forks.Process(target=fill_cache, args=(*places, count)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    afresh = FeatureCache(tmp_path / "afresh").arrays(
        part, lambda pixels: [pixels, np.asarray(pixels).mean((1, 2))], key={}, size=16, augmentations=2
    )
    row_stores = sorted(path.parent for path in (tmp_path / "scratch" / "features").rglob("form.json"))
    assert [row_store.name for row_store in row_stores] == ["identity", "left_right"]
    for place, folder in enumerate(row_stores):
        for array, direct in zip(RowStore(folder).arrays(), afresh, strict=True):
            assert np.array_equal(array, np.asarray(direct)[place]), "each once, in the order of the split"


def test_unreadable_patch_is_named_in_the_error(network, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = PatchSet(open_storage(tmp_path), ("bad.png",), np.array([1]), "c")
    with pytest.raises(ImageUnreadable, match=r"bad\.png"):
        FeatureCache(tmp_path).arrays(bad, network, key={}, size=16)


def test_least_recently_used_entry_is_evicted(patches, network, tmp_path, monkeypatch, counted):
    def entries(*numbers: int) -> list[bool]:
        counting = counted(network)
        there = []
        for number in numbers:
            before = counting.asked
            FeatureCache(tmp_path).arrays(patches, counting, key={"n": number}, size=16)
            there.append(counting.asked == before)
        return there

    first = FeatureCache(tmp_path).arrays(patches, network, key={"n": 1}, size=16)
    values = np.asarray(first[0])
    one = scratch.used_bytes(tmp_path / "features")
    monkeypatch.setenv("STEEL_TRAINING_CACHE_GB", str(2.5 * one / 1e9))
    assert entries(2, 1, 3) == [False, True, False], "the third makes the second go, which was used before the first"
    assert scratch.used_bytes(tmp_path / "features") <= 2.5 * one
    assert entries(1, 3, 2) == [True, True, False]
    assert entries(3, 1) == [True, False]
    assert np.array_equal(np.asarray(first[0]), values)


def test_features_of_old_datasets_are_evicted_last(network, tmp_path, monkeypatch, caplog, patch_set):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    former = patch_set(tmp_path / "one", range(100))
    now = patch_set(tmp_path / "two", range(1000, 1100), version="b")
    FeatureCache(tmp_path).arrays(former, network, key={}, size=16)
    monkeypatch.setenv("STEEL_TRAINING_CACHE_GB", str(1.2 * scratch.used_bytes(tmp_path / "features") / 1e9))
    found = FeatureCache(tmp_path).arrays(now, network, key={}, size=16)
    assert np.abs(np.asarray(found[1])[0]).sum(1).min() > 0
    assert "computed again" in caplog.text


def test_lack_of_space_is_reported_before_computing(patches, network, tmp_path, monkeypatch, counted):
    monkeypatch.setenv("STEEL_TRAINING_CACHE_GB", "0.00001")
    counting = counted(network)
    with pytest.raises(ScratchFull, match=r"needs 0\.00 GB more.*STEEL_TRAINING_SCRATCH"):
        FeatureCache(tmp_path).arrays(patches, counting, key={}, size=16, augmentations=4)
    assert counting.asked <= BATCH
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv("STEEL_TRAINING_CACHE_GB", wrong)
        with pytest.raises(ScratchFull, match=f"is '{wrong}'; expected"):
            FeatureCache(tmp_path).arrays(patches, counting, key={}, size=16)


def test_entries_unused_for_weeks_are_deleted(patches, network, tmp_path, counted):
    def fill(number: int, compute: Any = network) -> None:
        FeatureCache(tmp_path).arrays(patches, compute, key={"n": number}, size=16)

    fill(1)
    fill(2)
    long_ago = time.time() - (scratch.KEPT_DAYS + 1) * 24 * 3600
    for path in (tmp_path / "features").iterdir():
        os.utime(path, (long_ago, long_ago))
    counting = counted(network)
    fill(2, counting)  # used again
    fill(3)  # a new one makes the old ones go
    fill(2, counting)
    assert counting.asked == 0
    assert len([path for path in (tmp_path / "features").iterdir() if path.is_dir()]) == 2


def test_progress_counts_all_patches(patches, network, tmp_path):
    seen: list[tuple[int, int]] = []
    FeatureCache(tmp_path).arrays(
        patches, network, key={}, size=16, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(BATCH, len(patches)), (len(patches), len(patches))]


def test_scratch_folder_is_set_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("STEEL_TRAINING_SCRATCH", str(tmp_path / "named"))
    assert FeatureCache().folder == tmp_path / "named" / "features"
    monkeypatch.delenv("STEEL_TRAINING_SCRATCH")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert FeatureCache().folder == tmp_path / "cache" / "steel-training" / "features"
