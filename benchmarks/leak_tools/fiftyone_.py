"""FiftyOne Brain's leaky splits on sets of patches, with its default threshold: an alarm for each patch that has a neighbour in another split.

    python fiftyone_.py SET… > findings.jsonl

Each set holds `embeddings.npy`: the networks that FiftyOne would take are downloaded, and here there is no network.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pandas as pd


def judge(folder: Path) -> dict[str, object]:
    """Return what was found in one set."""
    table = pd.read_csv(folder / "manifest.csv")
    dataset = fo.Dataset(f"{folder.name}-{time.time_ns()}")
    dataset.add_samples(
        [
            fo.Sample(filepath=str(folder / path), tags=[part])
            for path, part in zip(table["path"], table["split"], strict=True)
        ],
        progress=False,
    )
    started = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        index = fob.compute_leaky_splits(
            dataset, ["train", "val", "test"], embeddings=np.load(folder / "embeddings.npy")
        )
        leaks = len(index.leaks_view())
    seconds = time.monotonic() - started
    dataset.delete()
    return {"set": folder.name, "seconds": seconds, "alarms": {"leaky split": leaks} if leaks else {}}


for name in sys.argv[1:]:
    print(json.dumps(judge(Path(name)), default=int), flush=True)
