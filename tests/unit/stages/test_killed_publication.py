"""A publication that is killed before any of its writes ends, when it is repeated, as one that was not killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from steel_training.evaluation.curves import curves

KEPT = Path(__file__).parents[2] / "stores" / "schema-1" / "runs" / "one"


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """The folder of a run that is judged and not published."""
    run = tmp_path / "judged" / "runs" / "one"
    shutil.copytree(KEPT, run, ignore=shutil.ignore_patterns("publish_model"))
    for folder in (run / "evaluate" / "bundle", tmp_path / "judged" / "other"):
        folder.mkdir()
        (folder / "model").write_text("weights", encoding="utf-8")
    scores = pd.read_parquet(run / "evaluate" / "scores.parquet")
    val, test = (scores[scores["part"] == split] for split in ("val", "test"))
    made = curves(
        (val["label"].to_numpy(), val["score"].to_numpy()), (test["label"].to_numpy(), test["score"].to_numpy())
    )
    (run / "evaluate" / "curves.json").write_text(json.dumps(asdict(made)), encoding="utf-8")
    return run


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
def test_killed_publication_is_concluded_when_repeated(
    kind: str, judged: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = str(tmp_path / "stores") if kind == "folder" else f"{request.getfixturevalue('s3')}/stores"
    script = str(Path(__file__).with_name("publish_until_killed.py"))
    done = subprocess.run([sys.executable, script, str(judged), base], stdout=subprocess.PIPE, text=True, check=True)
    *killed, undisturbed = map(json.loads, done.stdout.splitlines())
    assert (undisturbed["first"], undisturbed["again"]) == (0, 0)
    assert undisturbed["killed"] == undisturbed["ended"]
    (version,) = undisturbed["ended"]["versions"]
    assert undisturbed["ended"]["champions"] == [version]
    moments = set()
    for each in killed:
        before, after = each["killed"], each["ended"]
        assert before["damaged"] == after["damaged"] == []
        assert before["versions"] in ([], [version])
        # A champion has a record at every moment.
        assert {one[0] for one in before["records"]} >= set(before["champions"])
        assert each["again"] == 0, "the same run again ends as the first would have"
        others = [one for one in after["champions"] if one != version]
        assert after["champions"] == [version, *others], "it became champion, once, and stays behind a later one"
        assert after["records"] == undisturbed["ended"]["records"]
        moments.add((len(before["versions"]), len(before["records"]), len(before["champions"]), before["done"]))
    assert {(0, 0, 0, False), (1, 0, 0, False), (1, 1, 0, False), (1, 1, 1, False)} <= moments
    sys.stdout.write(f"\n{kind}: killed {len(killed)} times\n")
