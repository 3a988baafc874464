from __future__ import annotations

import pytest

from steel_training.ingest.name_matching import match_names


def match(images: list[str], annotations: list[str]):
    return match_names(images, {name: f"{name}.xml" for name in annotations}, "files")


@pytest.mark.parametrize(
    ("images", "annotations", "found"),
    [
        (["x/a", "y/a"], ["x/a", "y/a"], {"x/a": "x/a", "y/a": "y/a"}),
        (["x/a"], ["a"], {"x/a": "a"}),
        (["x/a", "y/a"], ["d/data/x/a", "d/data/y/a"], {"x/a": "d/data/x/a", "y/a": "d/data/y/a"}),
        (["set/x/a", "set/y/a"], ["x/a", "y/a"], {"set/x/a": "x/a", "set/y/a": "y/a"}),
    ],
)
def test_names_are_matched(images, annotations, found) -> None:
    matches = match(images, annotations)
    assert dict(matches.found) == found
    assert not matches.ambiguous
    assert not matches.unmatched


def test_two_images_do_not_share_an_annotation() -> None:
    matches = match(["x/a", "y/a"], ["a"])
    assert set(matches.ambiguous) == {"x/a", "y/a"}
    assert not matches.found


def test_the_end_of_a_path_decides_for_one_of_two() -> None:
    matches = match(["x/a", "y/a"], ["d/x/a"])
    assert dict(matches.found) == {"x/a": "d/x/a"}
    assert not matches.ambiguous
    assert not matches.unmatched


def test_what_belongs_to_no_image_is_named() -> None:
    assert match(["a"], ["a", "b"]).unmatched == ["b.xml"]
