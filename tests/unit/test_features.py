"""The cache gives what the network would, whole or not at all, and no view can hide a defect."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from steel_training import features
from steel_training.features import VIEWS, FeatureCache, PatchSet, network_digest, resize, view
from steel_training.pixels import ImageUnreadable
from steel_training.storage import open_storage

MIRRORS = ("identity", "left_right", "up_down", "half_turn")
BATCHES = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.just(3))
).map(lambda batch: batch.astype(np.float32))  # fmt: skip


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    random = np.random.default_rng(0)
    count = features.BATCH + 6  # the last batch is not full
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (20, 24), dtype=np.uint8)).save(folder / f"{number}.png")
    return PatchSet(open_storage(folder), tuple(f"{n}.png" for n in range(count)), np.arange(count) % 2, "a" * 64)


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, [x, keras.layers.GlobalAveragePooling2D()(x)])


class Counting:
    """A network that says how often it was asked."""

    def __init__(self, network):
        self.network = network
        self.calls = 0

    def __call__(self, pixels):
        self.calls += 1
        return self.network(pixels, training=False)


def entries(cache):
    return sorted(path.name for path in cache.folder.iterdir()) if cache.folder.is_dir() else []


def test_cached_features_are_those_of_the_network_for_every_view_in_order(patches, network, tmp_path):
    cache = FeatureCache(tmp_path)
    arrays = cache.arrays(patches, network, key={}, size=16, views=len(VIEWS))
    pixels = np.stack([np.asarray(Image.open(patches.storage.path(p)).convert("RGB")) for p in patches.paths])
    for number, name in enumerate(VIEWS):
        for array, direct in zip(arrays, network(view(resize(pixels, 16), name)), strict=True):
            assert array.dtype == (np.float32 if array.ndim == 3 else np.float16)  # (views, n, channels) are vectors
            assert np.allclose(np.asarray(array[number], np.float32), np.asarray(direct), rtol=1e-3, atol=1e-4)


def test_an_entry_is_computed_once_and_read_by_the_next(patches, network, tmp_path):
    asked = Counting(network)
    first = FeatureCache(tmp_path).arrays(patches, asked, key={"n": 1}, size=16, views=2)
    calls = asked.calls
    again = FeatureCache(tmp_path).arrays(patches, asked, key={"n": 1}, size=16, views=2)
    assert calls == asked.calls == 2 * 2
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_whatever_changes_a_value_makes_another_entry(patches, network, tmp_path, monkeypatch):
    import keras

    cache = FeatureCache(tmp_path)
    base = {"patches": patches, "key": {"network": network_digest(network)}, "size": 16, "views": 1}
    other = keras.models.clone_model(network)
    other.set_weights([array * 1.001 for array in network.get_weights()])
    relu = keras.Model(network.input, keras.layers.ReLU()(network.outputs[0]))
    changes = [
        {},
        {"key": {"network": network_digest(other)}},
        {"key": {"network": network_digest(relu)}},
        {"size": 18},
        {"views": 2},
        {"dtype": "float32"},
        {"patches": PatchSet(patches.storage, patches.paths, patches.labels, "b" * 64)},
        {"patches": PatchSet(patches.storage, patches.paths[::-1], patches.labels, patches.fingerprint)},
    ]

    def mean(pixels):
        return [np.asarray(pixels).mean((1, 2))]

    for number, change in enumerate(changes, start=1):
        asked = {**base, **change}
        cache.arrays(asked.pop("patches"), mean, **asked)
        assert len(entries(cache)) == number, change
    monkeypatch.setattr(features, "_code", lambda: "another way to resize")
    cache.arrays(patches, mean, key=base["key"], size=16, views=1)
    assert len(entries(cache)) == len(changes) + 1


def test_an_interrupted_fill_leaves_no_entry_and_the_next_one_is_whole(patches, network, tmp_path):
    cache = FeatureCache(tmp_path)
    calls = 0

    def interrupted(pixels):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return network(pixels)

    with pytest.raises(KeyboardInterrupt):
        cache.arrays(patches, interrupted, key={}, size=16)
    assert entries(cache) == []
    pooled = cache.arrays(patches, network, key={}, size=16)[1]
    assert pooled.shape == (1, len(patches), 4)
    assert np.abs(pooled[0, -1]).sum() > 0


def test_a_patch_that_cannot_be_read_leaves_no_entry(patches, network, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = PatchSet(open_storage(tmp_path), ("bad.png",), np.array([1]), "c")
    cache = FeatureCache(tmp_path)
    with pytest.raises(ImageUnreadable, match=r"bad\.png"):
        cache.arrays(bad, network, key={}, size=16)
    assert entries(cache) == []


def test_two_runs_that_fill_the_same_entry_at_once_both_get_it(patches, network, tmp_path):
    both = threading.Barrier(2, timeout=30)
    found, failed = [], []

    def together(pixels):
        if len(pixels) < features.BATCH:  # the last batch: both are about to put their entry in place
            both.wait()
        return network(pixels)

    def fill():
        try:
            found.append(FeatureCache(tmp_path).arrays(patches, together, key={}, size=16))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert np.array_equal(found[0][1], found[1][1])
    assert len(entries(FeatureCache(tmp_path))) == 1


def test_entries_that_nobody_used_for_weeks_make_room_and_used_ones_stay(patches, network, tmp_path):
    cache = FeatureCache(tmp_path)
    for number in (1, 2):
        cache.arrays(patches, network, key={"n": number}, size=16)
    (cache.folder / ".partial-killed").mkdir()
    long_ago = time.time() - (features.KEPT_DAYS + 1) * 24 * 3600
    for path in cache.folder.iterdir():
        os.utime(path, (long_ago, long_ago))
    asked = Counting(network)
    cache.arrays(patches, asked, key={"n": 2}, size=16)  # used again
    cache.arrays(patches, network, key={"n": 3}, size=16)  # a new one makes room
    assert asked.calls == 0
    assert len(entries(cache)) == 2
    cache.arrays(patches, asked, key={"n": 2}, size=16)
    assert asked.calls == 0


def test_progress_counts_patches_to_the_end(patches, network, tmp_path):
    seen = []
    FeatureCache(tmp_path).arrays(
        patches, network, key={}, size=16, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(features.BATCH, len(patches)), (len(patches), len(patches))]


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_mirror_views_only_move_pixels(batch):
    for name in MIRRORS:
        moved = np.asarray(view(batch, name))
        for before, after in zip(batch, moved, strict=True):
            pixels = [sorted(map(tuple, image.reshape(-1, 3))) for image in (before, after)]
            assert pixels[0] == pixels[1]
        assert np.array_equal(np.asarray(view(moved, name)), batch), "done twice it is undone"


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_a_lamp_changes_brightness_and_keeps_every_contrast(batch):
    """One factor a patch: two grey values that differ before still differ, also next to white."""
    for name in set(VIEWS) - set(MIRRORS):
        lit = np.asarray(view(batch, name))
        assert lit.shape == batch.shape
        assert lit.min() >= 0
        assert lit.max() <= 255 + 1e-3
        for before, after in zip(batch, lit, strict=True):
            factor = after.max() / before.max() if before.max() else 1.0
            assert 0.84 < factor < 1.16
            assert np.allclose(after, before * factor, atol=1e-2)


def test_the_views_are_the_six_that_the_configuration_offers():
    from steel_training.config import TrainingConfig

    most = next(limit.le for limit in TrainingConfig.model_fields["views"].metadata if hasattr(limit, "le"))
    assert len(set(VIEWS)) == len(VIEWS) == most


def test_resizing_keeps_pixel_range_and_mean_and_is_exact_at_the_same_size():
    batch = np.random.default_rng(3).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    small = np.asarray(resize(batch, 32))
    assert small.dtype == np.float32
    assert small.shape == (2, 32, 32, 3)
    assert small.min() >= 0
    assert small.max() <= 255
    assert abs(small.mean() - batch.mean()) < 1.0
    assert np.allclose(np.asarray(resize(batch, 64)), batch)


def test_the_scratch_folder_is_the_one_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("STEEL_TRAINING_SCRATCH", str(tmp_path / "named"))
    assert FeatureCache().folder == tmp_path / "named" / "features"
    monkeypatch.delenv("STEEL_TRAINING_SCRATCH")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert FeatureCache().folder == tmp_path / "cache" / "steel-training" / "features"
