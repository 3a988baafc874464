"""Deepchecks' vision suites for data integrity and train-test validation on sets of patches: an alarm for each condition that fails.

python deepchecks_.py SET… > findings.jsonl
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from deepchecks.vision import BatchOutputFormat, VisionData
from deepchecks.vision.suites import data_integrity, train_test_validation
from PIL import Image

BATCH = 64


def data_of(folder: Path, rows: pd.DataFrame) -> VisionData:
    """Return patches in the form that the suites take."""

    def batches():
        for start in range(0, len(rows), BATCH):
            some = rows.iloc[start : start + BATCH]
            images = [np.asarray(Image.open(folder / path).convert("RGB")) for path in some["path"]]
            yield BatchOutputFormat(
                images=images, labels=some["label"].tolist(), image_identifiers=some["path"].tolist()
            )

    return VisionData(batches(), task_type="classification", reshuffle_data=False)


def judge(folder: Path) -> dict[str, object]:
    """Return what was found in one set."""
    table = pd.read_csv(folder / "manifest.csv")
    train, test = table[table["split"] == "train"], table[table["split"] != "train"]
    started = time.monotonic()
    alarms: dict[str, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            data_integrity().run(data_of(folder, train.sample(frac=1, random_state=0)), max_samples=None),
            train_test_validation().run(
                data_of(folder, train.sample(frac=1, random_state=0)),
                data_of(folder, test.sample(frac=1, random_state=0)),
                max_samples=None,
            ),
        ]
    for suite in found:
        for check in suite.get_not_passed_checks():
            alarms[check.get_header()] = 1
    return {"set": folder.name, "seconds": time.monotonic() - started, "alarms": alarms}


for name in sys.argv[1:]:
    print(json.dumps(judge(Path(name)), default=int), flush=True)
