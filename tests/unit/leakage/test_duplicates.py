"""Identical images in two splits, or with both labels, are named; blank patches are not copies."""

from __future__ import annotations

import pandas as pd
import pytest

from steel_training.leakage import Probe
from steel_training.leakage.duplicates import contradicting_labels, identical_pixels


@pytest.fixture
def profile(steel) -> pd.DataFrame:
    return steel.profile.copy()


def named(probe: Probe) -> set[str]:
    return {pair[side] for pair in probe.evidence["pairs"] for side in ("first", "second")}


def test_data_without_copies_passes(profile: pd.DataFrame) -> None:
    assert identical_pixels(profile).passed
    assert contradicting_labels(profile).passed


def test_copy_in_another_split_is_a_leak(profile: pd.DataFrame) -> None:
    profile.loc[36, "pixel_hash"] = "h3"
    probe = identical_pixels(profile)
    assert (probe.code, probe.blocks, named(probe)) == ("leak.duplicate", True, {"p3", "p36"})


def test_copy_in_the_same_split_is_no_leak(profile: pd.DataFrame) -> None:
    profile.loc[4, "pixel_hash"] = "h3"
    assert identical_pixels(profile).passed


def test_contradicting_labels_are_named_in_any_split(profile: pd.DataFrame) -> None:
    profile.loc[4, "pixel_hash"] = "h3"
    probe = contradicting_labels(profile)
    assert (probe.code, probe.blocks, named(probe)) == ("leak.contradiction", True, {"p3", "p4"})


def test_blank_and_unreadable_patches_are_no_copies(profile: pd.DataFrame) -> None:
    blank = profile.assign(pixel_hash="black", contrast=0.0)
    unread = profile.assign(pixel_hash=pd.array([None] * len(profile), dtype="string"))
    for each in (blank, unread):
        assert identical_pixels(each).passed
        assert contradicting_labels(each).passed
