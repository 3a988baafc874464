"""The same image on both sides, or under both labels, is named; blank patches are alike and are no copies."""

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


def test_honest_data_passes(profile: pd.DataFrame) -> None:
    assert identical_pixels(profile).passed
    assert contradicting_labels(profile).passed


def test_the_same_image_in_two_parts_is_a_leak_and_both_are_named(profile: pd.DataFrame) -> None:
    profile.loc[36, "pixel_hash"] = "h3"
    probe = identical_pixels(profile)
    assert (probe.code, probe.blocks, named(probe)) == ("leak.duplicate", True, {"p3", "p36"})


def test_a_twin_in_the_same_part_gives_nothing_away(profile: pd.DataFrame) -> None:
    profile.loc[4, "pixel_hash"] = "h3"
    assert identical_pixels(profile).passed


def test_the_same_image_with_both_labels_is_named_even_in_one_part(profile: pd.DataFrame) -> None:
    profile.loc[4, "pixel_hash"] = "h3"
    probe = contradicting_labels(profile)
    assert (probe.code, probe.blocks, named(probe)) == ("leak.contradiction", True, {"p3", "p4"})


def test_blank_patches_and_files_that_could_not_be_read_are_no_twins(profile: pd.DataFrame) -> None:
    blank = profile.assign(pixel_hash="black", contrast=0.0)
    unread = profile.assign(pixel_hash=pd.array([None] * len(profile), dtype="string"))
    for each in (blank, unread):
        assert identical_pixels(each).passed
        assert contradicting_labels(each).passed
