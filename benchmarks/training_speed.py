"""Speed-up of training from cached features over the recipe from pixels, and agreement of the resulting models.

    python benchmarks/training_speed.py [--data DATASET] [--seeds 5] [--epochs 20] [--size 128] [--views 1 4]

Each seed trains both from the same weights on the same patches, for as many epochs of head and of fine-tuning, in batches of 32, one
after the other in one process. Ours starts with an empty cache, and once more with the cache that the first left. No early
stopping: both do all epochs. Without --data, synthetic strips are used. AUC is on the test split. Prints Markdown.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from peers import pixel_recipe

from steel_training.config import Config
from steel_training.data.dataset import find_dataset
from steel_training.data.images import read_batches
from steel_training.data.patches import PatchSet
from steel_training.data.splits import TEST, TRAIN, VAL, assign_splits
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.training.feature_cache import FeatureCache
from steel_training.training.preprocessing import resize


def splits_of(uri: str) -> dict[str, PatchSet]:
    """Read the splits of a dataset, grouped by steel if its manifest has none."""
    dataset = find_dataset(uri)
    manifest = dataset.manifest
    if "split" not in manifest:
        manifest = manifest.assign(split=assign_splits(manifest, seed=20, val_share=0.2, test_share=0.2))
    return {
        split: PatchSet(dataset.storage, tuple(rows["path"]), rows["label"].to_numpy(int), uri)
        for split, rows in manifest.groupby("split")
    }


def pixels_of(patches: PatchSet) -> pixel_recipe.Pixels:
    """Decode a split into memory."""
    return pixel_recipe.Pixels(np.concatenate(list(read_batches(patches.storage, patches.paths, 64))), patches.labels)


def area(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--views", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--coils", type=int, default=16, help="of synthetic strips")
    parser.add_argument("--rate", type=float, default=1e-3, help="of the head; fine-tuning has a tenth")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        uri = options.data or f"{scratch}/strips"
        if options.data is None:
            make_sample(uri, coils=options.coils, photographs_per_coil=2)
        splits = splits_of(uri)
        counts = {split: len(patches) for split, patches in splits.items()}
        print(
            f"{counts[TRAIN]} patches to train, {counts[VAL]} to validate, {counts[TEST]} to test; {options.size} pixels, "
            f"{options.epochs} + {options.epochs} epochs; {platform.processor() or platform.machine()}, {date.today()}\n"
        )
        print(
            "| augmentations | recipe, s | cached, s | times faster | with a full cache, s | times faster | AUC recipe | AUC cached | difference, mean | most |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for views in options.views:
            rows = [
                one(splits, options, views, seed, Path(scratch, f"{views}-{seed}")) for seed in range(options.seeds)
            ]
            recipe, empty, full, theirs, ours = (list(each) for each in zip(*rows, strict=True))
            apart = [abs(a - b) for a, b in zip(theirs, ours, strict=True)]
            mean = statistics.mean
            print(
                f"| {views} | {mean(recipe):.0f} | {mean(empty):.0f} | {mean(recipe) / mean(empty):.1f} | {mean(full):.0f} | "
                f"{mean(recipe) / mean(full):.1f} | {mean(theirs):.4f} | {mean(ours):.4f} | {abs(mean(theirs) - mean(ours)):.4f} | {max(apart):.4f} |",
                flush=True,
            )


def one(
    splits: dict[str, PatchSet], options: argparse.Namespace, views: int, seed: int, scratch: Path
) -> tuple[float, float, float, float, float]:
    """Train both; return seconds of the recipe, of ours with an empty and a full cache, and both areas."""
    import keras

    from steel_training.training.model_trainer import ModelTrainer, TransferLearningModel

    config = Config.model_validate(
        {
            "data": {"input_size": options.size, "seed": seed},
            "model": {"weights": "steel"},
            "training": {
                "views": views,
                "patience": 100,
                "head": {"epochs": options.epochs, "learning_rate": options.rate},
                "fine_tune": {"epochs": options.epochs, "learning_rate": options.rate / 10},
            },
        }
    )
    test = pixels_of(splits[TEST])

    def scored(network: object) -> float:
        scores = [
            np.asarray(network(resize(test.images[at : at + 64], options.size), training=False))[:, 0]
            for at in range(0, len(test.labels), 64)
        ]
        return area(np.concatenate(scores), test.labels)

    seconds, areas = [], []
    for _ in ("empty", "full"):
        keras.utils.clear_session()
        started = time.monotonic()
        trainer = ModelTrainer(config, splits[TRAIN], splits[VAL], cache=FeatureCache(scratch))
        model = TransferLearningModel.build(config.model, options.size)
        trainer.train_head(model)
        trainer.fine_tune(model)
        seconds.append(time.monotonic() - started)
        areas.append(scored(model.keras_model))
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = TransferLearningModel.build(config.model, options.size)
    train, val = pixels_of(splits[TRAIN]), pixels_of(splits[VAL])
    recipe = pixel_recipe.train(model.keras_model, model.spec.from_layer, config, train, val, options.size)
    theirs = scored(model.keras_model)
    print(
        f"views {views}, seed {seed}: {recipe:.0f} s, {seconds}, AUC {theirs:.4f}, {areas}", file=sys.stderr, flush=True
    )
    return recipe, seconds[0], seconds[1], theirs, areas[0]


if __name__ == "__main__":
    main()
