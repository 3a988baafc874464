"""Tests whether clean and defective source images were taken with different cameras."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE, rank_properties
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.two_cameras", 0.95
_PURE = 0.9


def two_cameras(profile: pd.DataFrame) -> Probe:
    """Try to separate clean from defective source images by their acquisition signature.

    Only if nearly every source image has a single label: a camera that records both leaks nothing. The signature of a source
    image is the median over its patches, so that a defect on some of them has no effect.
    """
    source = profile["source_id"].astype("string").fillna("")
    share = profile["label"].astype(float).groupby(source).transform("mean")
    pure = float(((share == 0) | (share == 1)).mean())
    if pure < _PURE:
        return Probe(CODE, True, 0.5, LIMIT, f"{1 - pure:.0%} of the patches come from source images with both labels.")
    names = [*SIGNATURE, *BRIGHTNESS]
    sources = profile[names].groupby(source).median()
    sources["label"] = (profile["label"].astype(float).groupby(source).mean() >= 0.5).astype(int)
    sources["group"] = profile["group"].astype("string").fillna("").groupby(source).first()
    try:
        result = separability(
            sources[list(SIGNATURE)],
            sources["label"].to_numpy(int),
            sources["group"].to_numpy(str),
            alone=True,
        )
    except TooFewGroups as error:
        return Probe.unjudged(CODE, f"source images have one label each, but there are only {error}")
    found = result.bound >= LIMIT
    message = f"Traces of camera and software separate clean from defective source images with an AUC of {result.auc:.3f}, at least {result.bound:.3f} (limit {LIMIT})"
    advice = ": they were taken with different cameras, or processed differently. Take clean patches from the source images with defects, too." if found else "."  # fmt: skip
    evidence = {"properties of photographs": rank_properties(sources, names)} if found else {}
    return Probe(CODE, not found, result.bound, LIMIT, message + advice, evidence)
