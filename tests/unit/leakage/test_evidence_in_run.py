"""A blocked run shows its evidence side by side and names the command that corrects it; that command works."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.data.splits import assign_splits
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.leakage.evidence_images import read_pair_images
from steel_training.runs.result import STAGES, StageResult
from steel_training.runs.run import Run
from steel_training.storage import open_storage

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strips whose defective training patches stand turned in the test part, under names that are no friend's."""
    folder = tmp_path_factory.mktemp("evidence") / "leaky"
    make_sample(str(folder), coils=14, photographs_per_coil=1)
    rows = pd.read_csv(folder / "manifest.csv", dtype={"source_id": "string", "group_id": "string"})
    rows["split"] = assign_splits(rows, seed=20, val_share=0.2, test_share=0.2)
    taken = rows[(rows["split"] == "train") & (rows["label"] == 1)].groupby("group_id").head(2).iloc[:8].copy()
    taken["path"] = [f"again/{number}.png" for number in range(len(taken))]
    (folder / "again").mkdir()
    for old, new in zip(rows.loc[taken.index, "path"], taken["path"], strict=True):
        Image.open(folder / old).transpose(Image.Transpose.ROTATE_90).save(folder / new)
    names = [f"again{number}{EVIL}" for number in range(len(taken))]
    taken = taken.assign(patch_id=names, source_id=names, group_id=names, split="test")
    pd.concat([rows, taken]).to_csv(folder / "manifest.csv", index=False)
    return folder


def judge(dataset: Path, store: Path, run_id: str, *, last: str = "check_baseline") -> tuple[int, Run]:
    """Does the stages up to the last, with a network hardly trained: what is asked of is the data."""
    small = ("baseline.input_size=32", "baseline.epochs=1", "baseline.min_steps=0", "model.weights=none")
    request = ["--dataset", str(dataset), *(word for setting in small for word in ("--set", setting))]
    at = ["--run-id", run_id, "--store", str(store)]
    assert main(["resolve_dataset", *request, *at]) == 0
    for stage in STAGES[1 : STAGES.index(last)]:
        assert main([stage, *at]) == 0
    return main([last, *at]), Run(open_storage(store), run_id)


def corrected_by_fix(blocked: StageResult) -> Path:
    """Does what the message says, to the letter, and returns the dataset that came of it."""
    command = shlex.split(re.search(r"steel-training split .*$", blocked.reasons[0].message).group())
    assert (command[0], main(command[1:])) == ("steel-training", 0)
    return Path(command[3])


def assert_reported(run: Run, stage: str, code: str) -> None:
    """Report and Data Docs lead to the pairs and name the command; no name of a patch acts in them."""
    docs = Path(run.store.location(run.key(f"{stage}/data_docs/index.html")))
    assert 'href="leakage.html"' in docs.read_text(encoding="utf-8")
    for page in (Path(run.store.location(run.key("report.html"))), docs.parent / "leakage.html"):
        text = page.read_text(encoding="utf-8")
        assert code in text
        assert "steel-training split" in text
        assert text.count("data:image/png;base64,") >= 16
        assert "again0&lt;script&gt;" in text
        assert EVIL not in text


def test_alarm_has_evidence_and_a_working_fix(leaky: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    code, run = judge(leaky, store, "leaky")
    blocked = run.result("check_baseline")
    assert (code, [reason.code for reason in blocked.reasons]) == (5, ["leak.rotation"])

    folder = store / "runs" / "leaky"
    shown = [each for each in read_pair_images(folder / "check_baseline") if each.code == "leak.rotation"]
    assert len(shown) == 8
    for pair in shown:
        first, second = (Image.open(folder / "check_baseline" / "evidence" / name).convert("L") for name in pair.files)
        assert second.tobytes() in {first.transpose(turn).tobytes() for turn in Image.Transpose}, (
            "it is the pair that was found"
        )
        assert {side.part for side in pair.sides} == {"train", "test"}
    assert_reported(run, "check_baseline", "leak.rotation")

    _, again = judge(corrected_by_fix(blocked), store, "corrected")
    said = {reason.code for reason in again.result("check_baseline").reasons}
    assert not {code for code in said if code.startswith("leak.")}, said


def test_split_sources_have_evidence_and_a_working_fix(leaky: Path, tmp_path: Path) -> None:
    """The commonest leak: patches put into parts at random. Validation blocks it, before any probe is asked."""
    straddling, store = tmp_path / "torn", tmp_path / "store"
    shutil.copytree(leaky, straddling)
    rows = pd.read_csv(straddling / "manifest.csv")
    rows["split"] = np.random.default_rng(1).choice(["train", "val", "test"], len(rows))
    rows["group_id"] = rows["group_id"].where(rows["group_id"] != rows["group_id"][0], f"again0{EVIL}")
    rows.to_csv(straddling / "manifest.csv", index=False)

    code, run = judge(straddling, store, "torn", last="validate_patches")
    blocked = run.result("validate_patches")
    assert (code, [reason.code for reason in blocked.reasons]) == (4, ["data.disjoint_groups"])
    assert_reported(run, "validate_patches", "data.disjoint_groups")
    for pair in read_pair_images(Path(run.store.location(run.key("validate_patches")))):
        assert pair.sides[0].group == pair.sides[1].group
        assert pair.sides[0].part != pair.sides[1].part

    assert judge(corrected_by_fix(blocked), store, "corrected", last="validate_patches")[0] == 0
