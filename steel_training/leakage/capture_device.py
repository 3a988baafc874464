"""Whether clean photographs were taken by one camera and defective ones by another."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE, rank_properties
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.two_cameras", 0.95
_PURE = 0.9


def two_cameras(profile: pd.DataFrame) -> Probe:
    """Tries to tell photographs of clean patches from photographs of defective ones by their signature.

    Only where photographs hold one label each: a camera that takes both gives nothing away. The median over the patches of a
    photograph is what they have in common, so a defect on some of them leaves it alone.
    """
    source = profile["source_id"].astype("string").fillna("")
    share = profile["label"].astype(float).groupby(source).transform("mean")
    pure = float(((share == 0) | (share == 1)).mean())
    if pure < _PURE:
        return Probe(
            CODE, True, 0.5, LIMIT, f"{1 - pure:.0%} of the patches come from photographs that hold both labels."
        )
    names = [*SIGNATURE, *BRIGHTNESS]
    sources = profile[names].groupby(source).median()
    sources["label"] = (profile["label"].astype(float).groupby(source).mean() >= 0.5).astype(int)
    sources["group"] = profile["group"].astype("string").fillna("").groupby(source).first()
    try:
        told = separability(
            sources[list(SIGNATURE)],
            sources["label"].to_numpy(int),
            sources["group"].to_numpy(str),
            alone=True,
        )
    except TooFewGroups as error:
        return Probe.unjudged(CODE, f"photographs hold one label each, but there are only {error}")
    found = told.bound >= LIMIT
    message = f"The traces of camera and software tell clean photographs from defective ones with an AUC of {told.auc:.3f}, at least {told.bound:.3f} (limit {LIMIT})"
    advice = ": they were taken by two cameras, or treated in two ways. Take clean patches from the photographs that show defects, too." if found else "."  # fmt: skip
    evidence = {"properties of photographs": rank_properties(sources, names)} if found else {}
    return Probe(CODE, not found, told.bound, LIMIT, message + advice, evidence)
