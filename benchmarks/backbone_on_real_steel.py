"""AUC of frozen features on real steel: mean over 5 folds by source image, for one or several weights files.

    python benchmarks/backbone_on_real_steel.py DATASET WEIGHTS… [--head]

DATASET is a dataset of 64-pixel patches (`steel-training ingest masks … --patch 64 --stride 64 --edges leave --keep-defective 0.33`).
For each of WEIGHTS (a file, `steel`, `imagenet` or `none`): AUC of a logistic regression on the means of the network's
top, on the means and standard deviations of the five feature layers that the head uses, and, with --head, of the head alone with the
default learning rate and epochs. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

SIZE, FOLDS, SEED = 128, 5, 20


def features(weights: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return pooled features (n, channels) of the top and of the feature layers, for pixels uint8 (n, 64, 64, 3)."""
    import keras
    import tensorflow as tf

    from steel_training.config import ModelConfig
    from steel_training.training.backbones import SPECS
    from steel_training.training.model_trainer import POOLED, TransferLearningModel
    from steel_training.training.preprocessing import resize
    from steel_training.training.pretrained_weights import load_weights

    model = TransferLearningModel.build(ModelConfig(weights=weights), SIZE).keras_model
    spec = SPECS["EfficientNetB0"]
    backbone = spec.build(SIZE)
    load_weights(backbone, spec, weights)
    networks = {
        "top": keras.Sequential([backbone, keras.layers.GlobalAveragePooling2D()]),
        "five depths": keras.Model(model.input, model.get_layer(POOLED).output),
    }
    found = {}
    for name, network in networks.items():
        forward = tf.function(lambda batch, network=network: network(batch, training=False))
        starts = range(0, len(pixels), 64)
        found[name] = np.concatenate(
            [np.asarray(forward(resize(pixels[start : start + 64], SIZE))) for start in starts]
        )
    return found


def logistic(x: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> list[tuple[float, float]]:
    """Return (AUC, precision at recall 0.95) of every fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import precision_recall_curve, roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    results = []
    for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED).split(x, labels, groups):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=500))
        model.fit(x[train], labels[train])
        scores = model.decision_function(x[test])
        precision, recall, _ = precision_recall_curve(labels[test], scores)
        results.append((roc_auc_score(labels[test], scores), precision[:-1][recall[:-1] >= 0.95].max()))
    return results


def head_alone(x: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> list[tuple[float, float]]:
    """The head of the transfer model, 20 epochs at 1e-4 (design default), on the features of the five layers."""
    import keras
    from sklearn.metrics import precision_recall_curve, roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    results = []
    for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED).split(x, labels, groups):
        keras.utils.set_random_seed(SEED)
        standardise = keras.layers.Normalization()
        standardise.adapt(x[train])
        inputs = keras.Input(x.shape[1:])
        h = keras.layers.Dropout(0.3)(keras.layers.Dense(256, activation="relu")(standardise(inputs)))
        head = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(h))
        head.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy")
        head.fit(x[train], labels[train], batch_size=32, epochs=20, class_weight={0: 0.5, 1: 2.0}, verbose=0)
        scores = np.asarray(head(x[test]))[:, 0]
        precision, recall, _ = precision_recall_curve(labels[test], scores)
        results.append((roc_auc_score(labels[test], scores), precision[:-1][recall[:-1] >= 0.95].max()))
    return results


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--head", action="store_true", help="train the head alone too (a minute a file)")
    options = parser.parse_args()
    from steel_training.data.dataset import find_dataset, groups_of
    from steel_training.data.images import read_batches

    dataset = find_dataset(options.dataset)
    labels, groups = dataset.manifest["label"].to_numpy(int), groups_of(dataset.manifest).to_numpy(str)
    pixels = np.concatenate(list(read_batches(dataset.storage, list(dataset.manifest["path"]), 256)))
    print("| weights | on | AUC | precision at recall 0.95 | s |\n|---|---|---|---|---|")
    for weights in options.weights:
        for name, x in features(weights, pixels).items():
            for kind, judge in (("logistic regression", logistic), ("head, 20 epochs at 1e-4", head_alone)):
                if judge is head_alone and not (options.head and name == "five depths"):
                    continue
                started = time.monotonic()
                auc, precision = np.mean(judge(x, labels, groups), axis=0)
                seconds = time.monotonic() - started
                print(f"| {weights} | {kind}, {name} | {auc:.4f} | {precision:.3f} | {seconds:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
