"""Makes a store for `tests/unit/test_upgrades.py`, small enough to be kept: once a schema, by the program that wrote that schema.

    python tests/stores/make.py FINISHED tests/stores/schema-N

FINISHED is the store of a run that published. Its records are kept as they are; the networks, which are large, give way to a small one.
A store that is kept here is never made again: it shows what an installation of that time holds.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from steel_training.bundle.export import export
from steel_training.bundle.golden import write_golden
from steel_training.data.patches import PatchSet
from steel_training.registry import MARKER, Registry
from steel_training.storage import open_storage
from steel_training.training.scoring import score
from steel_training.verdict import Reason, Verdict

SIZE, THRESHOLD = 32, 0.5
LARGE = {".keras", ".h5", ".tflite"}


def main(finished: str, out: str) -> None:
    """Makes the store."""
    import keras

    made, known = Path(out).resolve(), Registry(open_storage(finished), "steel-defects")
    run_id, version = known.decisions()[-1]["run_id"], known.versions()[-1]
    for file in sorted(Path(finished, "runs", run_id).rglob("*")):
        place = made / "runs" / run_id / file.relative_to(Path(finished, "runs", run_id))
        kept = file.name == "result.json" or (file.suffix in (".parquet", ".csv") and file.name != "anchors.parquet")
        if file.is_file() and kept:
            place.parent.mkdir(parents=True, exist_ok=True)
            copy(file, place)
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 5, activation="relu")(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    network = keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalMaxPooling2D()(x)))
    store = open_storage(made)
    registry = Registry(store, "steel-defects")
    real = Path(finished, "models", "steel-defects", "versions", version)
    for name in ("20260101-00000001", "20260102-00000002"):
        folder = made.parent / f".{name}"
        folder.mkdir()
        export(network, folder, threshold=THRESHOLD, input_size=SIZE, version=name)
        patches = {f"{number:02d}.png": png(number) for number in range(4)}
        store_of_patches = open_storage(made.parent / ".patches")
        for file, data in patches.items():
            store_of_patches.write(file, data)
        scores = score(network, PatchSet(store_of_patches, tuple(patches), np.zeros(4, int), "f"))
        write_golden(folder, list(patches.items()), scores)
        for file in sorted(real.iterdir()):
            if (
                file.is_file()
                and file.suffix not in LARGE
                and file.name not in (MARKER, "threshold.json", "input.json", "report.html")
            ):
                copy(file, folder / file.name)
        told = json.loads((folder / "gate.json").read_text()) | {"version": name}
        (folder / "gate.json").write_text(json.dumps(told, indent=2))
        registry.publish(folder, name)
        registry.promote(name)
        facts = {key: told[key] for key in known.decisions()[-1] if key in told and key not in ("reasons", "run_id")}
        registry.record(f"run-{name}", Verdict.PUBLISHED, [Reason("gate.recall", "recall is met.")], facts)
        shutil.rmtree(folder)
        shutil.rmtree(made.parent / ".patches")
    refused = {**facts, "version": None}
    registry.record(
        "run-refused", Verdict.REJECTED, [Reason("gate.recall", "recall is 0.91; 0.95 was asked.")], refused
    )
    for lock in made.rglob(".lock"):
        lock.unlink()


def copy(source: Path, target: Path) -> None:
    """Copies a file; in text, where the run's dataset and store lay on the machine that made it is left out."""
    if source.suffix not in (".json", ".md"):
        shutil.copyfile(source, target)
        return
    text, top = source.read_text(), Path(sys.argv[1]).resolve()
    target.write_text(text.replace(str(top), "/data/store").replace(str(top.parents[1]), "/data"))


def png(number: int) -> bytes:
    """Draws a patch."""
    data = io.BytesIO()
    grey = np.random.default_rng(number).integers(90, 150, (SIZE, SIZE)).astype(np.uint8)
    Image.fromarray(grey).save(data, "PNG")
    return data.getvalue()


if __name__ == "__main__":
    main(*sys.argv[1:])
