"""Exports the bundle: the judged network, and the patches to test it with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from steel_training.bundle.export import export
from steel_training.bundle.golden import choose_golden, write_golden
from steel_training.bundle.input_record import InputRecord
from steel_training.bundle.lite import CHECKED_PATCHES, balanced, export_lite
from steel_training.data import image_cut
from steel_training.data.grey_range import from_record
from steel_training.data.images import read_batches, without_tiff
from steel_training.data.patches import PatchSet
from steel_training.data.splits import TEST, VAL
from steel_training.runs.artifacts import patch_sets
from steel_training.runs.run import Run
from steel_training.training.inference import as_constants
from steel_training.training.preprocessing import resize
from steel_training.training.scoring import Scorer


def export_bundle(
    run: Run, network: keras.Model, folder: Path, *, threshold: float, scores: Mapping[str, np.ndarray], scorer: Scorer
) -> None:
    """Write the bundle: the exported model, golden samples of the test split, and the LiteRT files whose decisions agree with it.

    Args:
        run: the run.
        network: the scoring model.
        folder: to be made.
        threshold: operating threshold on the score.
        scores: of the network on val and test, in the order of `patch_sets`.
        scorer: of the network.
    """
    folder.mkdir()
    size = int(network.input_shape[1])
    splits = patch_sets(run)
    test, val = splits[TEST], splits[VAL]
    chosen = choose_golden(test.labels, scores[TEST], threshold)
    samples = []
    for number, index in enumerate(chosen):
        original = test.storage.read(test.paths[index])
        data = without_tiff(original)
        suffix = Path(test.paths[index]).suffix if data is original else ".png"
        samples.append((f"{number:02d}{suffix}", data))
    takes = InputRecord.of(
        [data for _, data in samples],
        from_record(run.resolved.grey_range, "the run"),
        image_cut.from_record(run.resolved.cut, "the run"),
    )
    constants = as_constants(network)
    export(network, folder, threshold=threshold, input_size=size, version=run.version, takes=takes, constants=constants)
    golden = scorer(_some(test, chosen))
    write_golden(folder, samples, golden)
    checked = balanced(val.labels, CHECKED_PATCHES)
    export_lite(
        network,
        folder,
        threshold=threshold,
        validation=(_pixels(_some(val, checked), size), val.labels[checked], scores[VAL][checked]),
        golden=(_pixels(_some(test, chosen), size), golden),
        constants=constants,
    )


def _some(patches: PatchSet, chosen: np.ndarray) -> PatchSet:
    return PatchSet(
        patches.storage, tuple(patches.paths[i] for i in chosen), patches.labels[chosen], patches.fingerprint
    )


def _pixels(patches: PatchSet, size: int) -> np.ndarray:
    batches = read_batches(patches.storage, patches.paths, 64)
    return np.concatenate([np.asarray(resize(batch, size)) for batch in batches])
