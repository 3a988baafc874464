"""A process for `test_ten_at_once.py`: publishes a version a round, at a moment of its own, and says what came of it.

python decide_at_once.py STORE NUMBER BUNDLES    reads round numbers, one a line; answers each with a line of JSON

After `ROUND together` it says `judged` when it knows the champion that it is judged against, and goes on at the next line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from steel_training.registry import ChampionMoved, Registry
from steel_training.storage import open_storage
from steel_training.verdict import Reason, Verdict

uri, number, bundles = sys.argv[1:]
registry = Registry(open_storage(uri), "steel-defects")
registry.versions()
chance = random.Random(int(number))
sys.stdout.write("ready\n")
sys.stdout.flush()
for line in sys.stdin:
    turn, _, together = line.strip().partition(" ")
    version = f"r{int(turn):02d}-{number}"
    made = Path(bundles, version)
    made.mkdir()
    (made / "model").write_text(version * 100)
    judged_against, _ = registry.champion()
    registry.publish(made, version)
    if together:
        sys.stdout.write("judged\n")
        sys.stdout.flush()
        next(sys.stdin)
    else:
        time.sleep(chance.uniform(0.0, 0.02))
    try:
        registry.promote(version, expected=judged_against)
        told = {"version": version, "after": judged_against, "promoted": True}
    except ChampionMoved:
        told = {"version": version, "after": judged_against, "promoted": False}
    registry.record(version, Verdict.PUBLISHED, [Reason("gate.recall", "met")], {"version": version})
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
