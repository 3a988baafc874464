"""The same steel in different splits: overlapping patches, rotated or mirrored copies, another exposure, another file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from steel_training.data.matching.same_surface import MAX_CANDIDATES, MatchedPair, Pixels, same_surface_pairs
from steel_training.data.matching.symmetries import NAMES, SAME
from steel_training.leakage.patch_pairs import NamedPair
from steel_training.leakage.probe import Probe

_MAX_NAMED = 10
# Share of the smaller patch. A larger overlap means a copy of the same patch, not another crop.
_WHOLE = 0.85

_WORDING = {
    "leak.overlap": ("overlap", "Overlapping patches of a source image belong in one split"),
    "leak.rotation": ("are rotated or mirrored copies", "Copies of a source image belong in one split"),
    "leak.near_duplicate": (
        "show the same steel (another file or exposure, or shifted by a few pixels)",
        "Images of one place belong in one split",
    ),
}


def same_surface(profile: pd.DataFrame, keypoints: Sequence[bytes | None], pixels: Pixels) -> list[Probe]:
    """Find the same steel in different splits, whatever the ids say; one result per kind of copy.

    Args:
        profile: one row per patch.
        keypoints: of every row, `KEYPOINT` as bytes.
        pixels: reads a patch; called for candidate pairs only.
    """
    found = list(_common(profile, keypoints, pixels))
    return [_verdict(code, [pair for pair in found if _code_of(pair) == code], profile) for code in _WORDING]


def _code_of(pair: MatchedPair) -> str:
    """Return the reason code for the kind of copy."""
    if pair.orientation != SAME:
        return "leak.rotation"
    return "leak.near_duplicate" if pair.registration.common >= _WHOLE else "leak.overlap"


def _common(profile: pd.DataFrame, keypoints: Sequence[bytes | None], pixels: Pixels) -> Iterator[MatchedPair]:
    hashes = profile["pixel_hash"].fillna("").to_numpy(str)
    split = pd.factorize(profile["part"])[0]
    for pair in same_surface_pairs(keypoints, split, pixels):
        if hashes[pair.first] != hashes[pair.second]:  # the others are reported by `identical_pixels`
            yield pair


def _verdict(code: str, pairs: list[MatchedPair], profile: pd.DataFrame) -> Probe:
    how, advice = _WORDING[code]
    if not pairs:
        return Probe(code, True, 0, 0, f"No two patches of different splits {how}.")
    rows = [_row(pair, profile) for pair in sorted(pairs, key=lambda pair: -pair.registration.score)[:_MAX_NAMED]]
    named = ", ".join(f"{row['first']} and {row['second']}" for row in rows[:3])
    many = "At least " if len(pairs) >= MAX_CANDIDATES // 2 else ""
    return Probe(
        code,
        False,
        len(pairs),
        0,
        f"{many}{len(pairs)} pairs of patches in different splits {how}: {named}. "
        f"{advice}: give them one group_id, or remove one side.",
        {"pairs": rows},
    )


def _row(pair: MatchedPair, profile: pd.DataFrame) -> NamedPair:
    one, other = profile.iloc[pair.first], profile.iloc[pair.second]
    return {
        "first": str(one["patch_id"]),
        "second": str(other["patch_id"]),
        "parts": [str(one["part"]), str(other["part"])],
        "groups": [str(one["group"]), str(other["group"])],
        "turn": NAMES[pair.orientation],
        "shift": list(pair.registration.shift),
        "common": round(pair.registration.common, 3),
        "correlation": round(pair.registration.correlation, 3),
        "score": round(pair.registration.score, 1),
    }
