"""An alarm that another split corrects names the command, one for all of them; others name none."""

from __future__ import annotations

import shlex

import pytest

from steel_training.leakage import Probe
from steel_training.leakage.corrections import copy_of, with_fixes

PAIR = {"first": "p1", "second": "p2", "parts": ["train", "test"]}


def alarm(code: str, **evidence: object) -> Probe:
    return Probe(code, False, 1.0, 0.0, "found", evidence)


def test_fix_groups_by_id_or_by_steel() -> None:
    (by_id,) = with_fixes([alarm("leak.group", groups=["coil7"], unnamed=[])], "/data/my strip")
    assert shlex.split(by_id.fix) == [
        *("steel-training", "split", "/data/my strip", "/data/my strip-regrouped", "--group-by", "source_id")
    ]
    assert by_id.reason.message.endswith(by_id.fix)
    (by_steel,) = with_fixes([alarm("leak.rotation", pairs=[PAIR])], "/data/strip")
    assert by_steel.fix.endswith("/data/strip-regrouped --group-by steel")


def test_one_command_corrects_several_alarms() -> None:
    alarms = [
        alarm("leak.group", groups=["coil7"]),
        alarm("leak.coordinates", pairs=[PAIR]),
        alarm("leak.overlap", pairs=[PAIR]),
    ]
    assert {probe.fix.rpartition(" ")[2] for probe in with_fixes(alarms, "s3://steel/strip")} == {"steel"}


@pytest.mark.parametrize(
    "probe",
    [
        alarm("leak.two_cameras", **{"properties of photographs": {"grain": 1.0}}),
        alarm("leak.coordinates", **{"usual place on the grid": {"label 0": "0, 0"}}),
        alarm("leak.contradiction", pairs=[PAIR]),
        alarm("data.duplicate_content", pairs=[{**PAIR, "parts": ["train", "train"]}]),
        alarm("leak.group", groups=["coil7"], unnamed=["p3"]),
        Probe("leak.overlap", True, 0.0, 0.0, "nothing", {"pairs": [PAIR]}),
    ],
    ids=["cameras", "another grid", "two labels", "copies in one split", "no source_id", "passed"],
)
def test_no_command_if_no_split_helps(probe: Probe) -> None:
    assert with_fixes([probe], "/data/strip") == [probe]


@pytest.mark.parametrize(
    ("dataset", "copy"),
    [
        ("/data/strip", "/data/strip-regrouped"),
        ("/data/strip/", "/data/strip-regrouped"),
        ("/data/strip/2026-01-05", "/data/strip-regrouped/2026-01-05"),
        ("s3://steel/strip", "s3://steel/strip-regrouped"),
        ("s3://steel", "s3://steel/regrouped"),
        ("s3://steel/2026-01-05", "s3://steel/regrouped/2026-01-05"),
    ],
)
def test_corrected_copy_is_beside_the_dataset(dataset: str, copy: str) -> None:
    assert copy_of(dataset) == copy
