"""Report sections on the labels: how many are estimated to be wrong, those to look at first, and how far reviewers agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steel_training.config import JUDGED
from steel_training.data.splits import TEST
from steel_training.evaluation.corrected_labels import CorrectedLabels
from steel_training.labels.agreement import NAMES, Agreement, Measured
from steel_training.labels.suspect_images import FOLDER, Suspect, read_suspects
from steel_training.report.blocks import Block, Gallery, Picture, Section, Table, Text
from steel_training.report.formatting import NAMES as METRICS
from steel_training.report.formatting import number, signed

TITLE = "Labels to look at first"
_CLASSES = ("clean", "defective")


def pictures_in(folder: Path) -> list[Picture]:
    """Return the pictures that `audit_labels` wrote to its folder, worst label first."""
    return [_picture(folder / FOLDER, suspect) for suspect in read_suspects(folder)]


def labels(outputs: Mapping[str, Any], pictures: Sequence[Picture]) -> list[Section]:
    """Estimated shares of wrong labels, and the labels that are most likely wrong; or why there are none.

    Args:
        outputs: of the stage `audit_labels`.
        pictures: of the worst labels outside the test split.
    """
    if not outputs:
        return []
    if outputs["problem"]:
        return [Section("labels", TITLE, [Text(f"The labels were not audited: {outputs['problem']}", "warn")])]
    rows = [
        (
            _CLASSES[each["label"]],
            f"{each['patches']:,}",
            f"{each['share']:.1%}",
            f"{each['low']:.1%} to {each['high']:.1%}",
        )
        for each in outputs["wrong_labels"]
    ]
    head = ("Label", "Patches", "Estimated wrong", "90 % interval, by group")
    blocks: list[Block] = [Text(_sentence(outputs)), Table("Wrong labels, estimated", head, rows)]
    hidden = outputs["suspects_by_split"].get(TEST, 0)
    if hidden:
        blocks.append(
            Text(
                f"{hidden:,} of them are in the test split and are not shown: who has seen label and score of a test patch can no longer "
                "read it blind. They count in the estimate."
            )
        )
    if pictures:
        blocks += [
            Text(
                "Each patch as it is, and with its contrast stretched. A suggestion is a reason to look, not a correction."
            ),
            Gallery(pictures),
        ]
    return [Section("labels", TITLE, blocks)]


def corrected(evaluated: Mapping[str, Any]) -> list[Section]:
    """Metrics by the labels of the test split before and after their correction; nothing where none was corrected.

    Args:
        evaluated: outputs of the stage `evaluate`; runs before 2026-11-29 do not know.
    """
    outputs = evaluated.get("corrected_labels")
    if not outputs:
        return []
    found = CorrectedLabels.from_dict(outputs)
    title = "Metrics before and after the labels were corrected"
    if found.before is None or found.after is None:
        return [Section("corrected", title, [Text(found.sentence, "warn")])]
    one, other = found.before, found.after
    rows = [
        (
            METRICS[name],
            number(one.metrics[name]),
            number(other.metrics[name]),
            signed(other.metrics[name] - one.metrics[name]),
            "none" if (target := evaluated["targets"].get(name)) is None else f"≥ {target:g}",
        )
        for name in JUDGED
    ]
    rows += [
        ("Missed defects", one.missed, other.missed, f"{other.counts.fn - one.counts.fn:+,}", ""),
        ("False alarms", one.false_alarms, other.false_alarms, f"{other.counts.fp - one.counts.fp:+,}", ""),
    ]
    head = ("", "Labels before", "Corrected labels", "Change", "Target")
    blocks: list[Block] = [Text(found.sentence), Table("", head, rows)]
    if turned := _turned(one.metrics, other.metrics, evaluated["targets"]):
        blocks.insert(1, Text(f"The value of {turned}.", "warn"))
    return [Section("corrected", title, blocks)]


def _turned(before: Mapping[str, float], after: Mapping[str, float], targets: Mapping[str, float | None]) -> str:
    """Name the metrics whose value meets its target by one set of labels and not by the other."""
    said = []
    for name in JUDGED:
        target = targets.get(name)
        if target is not None and (met := after[name] >= target) != (before[name] >= target):
            said.append(
                f"{METRICS[name]} meets its target by the {'corrected labels' if met else 'labels before'} only"
            )
    return ", that of ".join(said)


def agreement(found: Sequence[Agreement], problem: str) -> list[Section]:
    """Agreement of labels, reviewers and model on patches that were answered blind; nothing where nobody answered.

    Args:
        found: one pair a row.
        problem: why the answers cannot be read; empty where they can.
    """
    title = "Agreement of labels, reviewers and model"
    if problem:
        return [Section("agreement", title, [Text(f"The answers of reviewers cannot be read: {problem}", "warn")])]
    if not found:
        return []
    rows = [
        (f"{each.assessor} against {each.reference}", f"{each.patches:,}", *(_measured(each, name) for name in NAMES))
        for each in found
    ]
    head = ("", "Patches", "Agreement", "Cohen's kappa", "Miss rate", "False-alarm rate")
    said = (
        "On patches that reviewers answered without seeing label or score. Miss and false-alarm rate take the second of the two as the "
        "truth; the interval (90 %) is resampled by group. The model is compared on the test split alone."
    )
    return [Section("agreement", title, [Text(said), Table("", head, rows)])]


def _measured(found: Agreement, name: str) -> str:
    each: Measured = getattr(found, name)
    if not math.isfinite(each.value):
        return "undefined"
    return f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"


def _sentence(outputs: Mapping[str, Any]) -> str:
    suspects, patches = outputs["suspects"], outputs["patches"]
    if not suspects:
        return f"None of {patches:,} labels is more likely wrong than right."
    copies = outputs["contradicting_copies"]
    also = f"; {copies:,} of them are contradicted by an identical patch" if copies else ""
    return f"{suspects:,} of {patches:,} labels are more likely wrong than right, by models that did not see their group{also}."


def _picture(folder: Path, suspect: Suspect) -> Picture:
    given, likely = _CLASSES[suspect.label], _CLASSES[suspect.suggested]
    lines = [f"labelled {given}, looks {likely}", f"quality {suspect.quality:.2f} · score {suspect.score:.2f}"]
    if suspect.copy:
        lines.append("an identical patch has the other label")
    if suspect.neighbours is not None:
        lines.append(f"{suspect.neighbours:.0%} of the nearest patches are {likely}")
    lines += [suspect.patch_id, f"group {suspect.group} · {suspect.split}"]
    alt = f"Patch {suspect.patch_id}, labelled {given}"
    return Picture(
        patch=(folder / suspect.patch).read_bytes(),
        overlay=(folder / suspect.stretched).read_bytes(),
        alt=alt,
        lines=lines,
        beside=f"{alt}, contrast stretched",
    )
