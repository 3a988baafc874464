"""cleanlab Datalab 2.9 on sets of patches: an alarm for near duplicates in two splits, and for image properties correlated with the label.

    python datalab_.py SET… > findings.jsonl

Each set holds `embeddings.npy`, which Datalab is given as features: it comes with no network of its own.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from cleanlab import Datalab
from datasets import Dataset, Image


def judge(folder: Path) -> dict[str, object]:
    """Return what was found in one set."""
    table = pd.read_csv(folder / "manifest.csv")
    data = Dataset.from_dict(
        {"image": [str(folder / path) for path in table["path"]], "label": table["label"].tolist()}
    ).cast_column("image", Image())
    features = np.load(folder / "embeddings.npy")
    started = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        lab = Datalab(data, label_name="label", image_key="image", verbosity=0)
        lab.find_issues(features=features)
    seconds = time.monotonic() - started
    alarms: dict[str, int] = {}
    part = table["split"].to_numpy(str)
    with contextlib.suppress(ValueError):
        issues = lab.get_issues("near_duplicate")
        for row, found in enumerate(
            zip(issues["is_near_duplicate_issue"], lab.get_info("near_duplicate")["near_duplicate_sets"], strict=True)
        ):
            if found[0] and (part[found[1]] != part[row]).any():
                alarms["near_duplicate"] = alarms.get("near_duplicate", 0) + 1
    with contextlib.suppress(ValueError):
        result = lab.get_info("spurious_correlations")
        scores = result["correlations_df"]
        low = scores[scores["score"] < result["threshold"]]
        for name in low["property"]:
            alarms[f"spurious: {name}"] = 1
    return {"set": folder.name, "seconds": seconds, "alarms": alarms}


for name in sys.argv[1:]:
    print(json.dumps(judge(Path(name)), default=int), flush=True)
