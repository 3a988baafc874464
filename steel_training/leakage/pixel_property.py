"""Tests whether pixel properties other than the defect predict the label."""

from __future__ import annotations

import pandas as pd

from steel_training.data.capture_traces import Signature
from steel_training.evaluation.metrics import auc
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE = "leak.pixel_property"
SIGNATURE = (*Signature._fields, "tint")
BRIGHTNESS = ("brightness", "contrast", "sharpness", "dark", "bright")
SIGNATURE_LIMIT, COMBINED_LIMIT = 0.95, 0.985
"""Real defects reach 0.91 and 0.94 on the measured datasets (docs/leakage.md)."""
WARNING = 0.03
"""How far below its limit a bound already warns. Real defects stay below that; most traces do not."""


def pixel_property(profile: pd.DataFrame) -> Probe:
    """Try to predict the label from the acquisition signature, and from it together with brightness and contrast.

    A defect is darker or brighter than the strip, so brightness may legitimately predict the label, but not as well as the
    higher limit. What reaches its limit blocks; what comes close warns.
    """
    labels, groups = profile["label"].to_numpy(int), profile["group"].to_numpy(str)
    try:
        alone = separability(profile[list(SIGNATURE)], labels, groups, alone=True)
        both = separability(profile[[*SIGNATURE, *BRIGHTNESS]], labels, groups)
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    found, limit, subject = max(
        (alone, SIGNATURE_LIMIT, "Frame, noise, blur or another trace of camera and software predicts"),
        (both, COMBINED_LIMIT, "Brightness, contrast and the like predict"),
        key=lambda each: each[0].bound - each[1],
    )
    blocks = found.bound >= limit
    if not blocks:
        limit = round(limit - WARNING, 3)
    message = f"{subject} the label with an AUC of {found.auc:.3f}, at least {found.bound:.3f} (limit {limit})"
    if found.bound < limit:
        return Probe(CODE, True, found.bound, limit, message + ".")
    names = rank_properties(profile, [*SIGNATURE, *BRIGHTNESS])
    advice = (
        f": most of all '{next(iter(names))}'. Compare how clean and defective patches were acquired, cut and stored."
    )
    return Probe(CODE, False, found.bound, limit, message + advice, {"properties": names}, decisive=blocks)


def rank_properties(
    profile: pd.DataFrame, names: list[str], *, label: str = "label", most: int = 5
) -> dict[str, float]:
    """Return the AUC of single properties, strongest first; an AUC below 0.5 is mirrored to above."""
    labels = profile[label].to_numpy(int)
    found = {}
    for name in names:
        values = pd.to_numeric(profile[name], errors="coerce").astype("float64")
        area = auc(labels, values.fillna(values.median()).fillna(0.0).to_numpy(float))
        found[name] = round(max(area, 1 - area), 4)
    return dict(sorted(found.items(), key=lambda item: -item[1])[:most])
