"""CleanVision 0.3.7 on sets of patches: an alarm where a set of exact or near duplicates is in two splits.

python cleanvision_.py SET… > findings.jsonl
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import pandas as pd
from cleanvision import Imagelab

KINDS = {"exact_duplicates": {}, "near_duplicates": {}}


def judge(folder: Path) -> dict[str, object]:
    """Return what was found in one set."""
    part = pd.read_csv(folder / "manifest.csv").set_index("path")["split"]
    lab = Imagelab(data_path=str(folder / "patches"))
    started = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        lab.find_issues(KINDS)
    seconds = time.monotonic() - started
    alarms = []
    for kind in KINDS:
        for several in lab.info[kind]["sets"]:
            parts = {part[f"patches/{Path(each).name}"] for each in several}
            alarms += [kind] * (len(parts) > 1)
    return {"set": folder.name, "seconds": seconds, "alarms": dict(pd.Series(alarms, dtype=str).value_counts())}


for name in sys.argv[1:]:
    print(json.dumps(judge(Path(name)), default=int), flush=True)
