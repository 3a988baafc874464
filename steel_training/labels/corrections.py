"""From answers to corrected labels: what people agree on is applied, and what they do not is listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steel_training.data.splits import TEST
from steel_training.labels.answers import Answer, Said

_LABEL = {Said.CLEAN: 0, Said.DEFECTIVE: 1}


@dataclass(frozen=True)
class Correction:
    """A label that people changed.

    Attributes:
        patch_id: of the patch.
        was: label before.
        label: label now.
        by: those who say so, in the order of their answers.
        at: of the last of these answers.
        blind: whether all of these answers were blind.
    """

    patch_id: str
    was: int
    label: int
    by: tuple[str, ...]
    at: str
    blind: bool


@dataclass(frozen=True)
class Corrections:
    """What answers come to.

    Attributes:
        changed: labels to change.
        confirmed: patches whose label people agree with.
        undecided: patches of which nobody could tell the label.
        contradicting: patches about which answers differ, of one person or of several; nothing is changed there.
        not_blind: patches of the test split whose answers were not blind; nothing is changed there.
        unknown: patches that the dataset does not have.
    """

    changed: tuple[Correction, ...]
    confirmed: tuple[str, ...]
    undecided: tuple[str, ...]
    contradicting: tuple[str, ...]
    not_blind: tuple[str, ...]
    unknown: tuple[str, ...]


def standing(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers that were not taken back, oldest first.

    Args:
        answers: oldest first. An `undo` takes back the last standing answer of its person about its patch.
    """
    kept: list[Answer] = []
    for answer in answers:
        if answer.said is not Said.UNDO:
            kept.append(answer)
            continue
        own = [n for n, each in enumerate(kept) if (each.patch_id, each.by) == (answer.patch_id, answer.by)]
        if own:
            del kept[own[-1]]
    return kept


def corrections(answers: Sequence[Answer], labels: Mapping[str, int], splits: Mapping[str, str]) -> Corrections:
    """Decide which labels to change.

    In the test split only blind answers count: a split corrected where a model disagreed would flatter that model.

    Args:
        answers: oldest first.
        labels: of the dataset, by patch.
        splits: of the dataset, by patch.
    """
    by_patch: dict[str, list[Answer]] = defaultdict(list)
    for answer in standing(answers):
        by_patch[answer.patch_id].append(answer)
    found: dict[str, list[str]] = defaultdict(list)
    changed = []
    for patch_id, given in sorted(by_patch.items()):
        if patch_id not in labels:
            found["unknown"].append(patch_id)
            continue
        counted = [each for each in given if each.blind or splits.get(patch_id) != TEST]
        sure = [each for each in counted if each.said in _LABEL]
        said = sorted({_LABEL[each.said] for each in sure})
        if not counted:
            found["not_blind"].append(patch_id)
        elif not sure:
            found["undecided"].append(patch_id)
        elif len(said) > 1:
            found["contradicting"].append(patch_id)
        elif said == [labels[patch_id]]:
            found["confirmed"].append(patch_id)
        else:
            by = tuple(dict.fromkeys(each.by for each in sure))
            blind = all(each.blind for each in sure)
            changed.append(Correction(patch_id, labels[patch_id], said[0], by, sure[-1].at, blind))
    names = ("confirmed", "undecided", "contradicting", "not_blind", "unknown")
    return Corrections(tuple(changed), *(tuple(found[name]) for name in names))
