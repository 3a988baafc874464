from __future__ import annotations

import pytest

from steel_training.ingest.mask_names import MaskNames, MaskNamesInvalid, likely_suffix


@pytest.mark.parametrize(
    ("naming", "image", "mask"),
    [
        (MaskNames(), "a/1", "a/1"),
        (MaskNames("_GT"), "a/1", "a/1_GT"),
        (MaskNames("", "images=masks"), "train/images/1", "train/masks/1"),
        (MaskNames("_m", "images=masks"), "images/x/1", "masks/x/1_m"),
        (MaskNames("", "images=masks"), "other/images", "other/images"),
    ],
)
def test_the_name_of_a_mask(naming, image, mask) -> None:
    assert naming.mask_of(image) == mask
    assert naming.is_mask(mask) or mask == "other/images"


def test_an_image_is_no_mask() -> None:
    assert not MaskNames("_GT").is_mask("a/1")
    assert not MaskNames("", "images=masks").is_mask("images/masks")


@pytest.mark.parametrize("folder", ["images", "=masks", "a=a", "a/b=c"])
def test_other_forms_of_folders_are_refused(folder) -> None:
    with pytest.raises(MaskNamesInvalid, match="such as images=masks"):
        MaskNames("", folder)


def test_the_suffix_is_found() -> None:
    assert likely_suffix(["a/1", "a/2"], ["a/1_GT", "a/2_GT", "a/1-x"]) == "_GT"
    assert likely_suffix(["a/1"], ["b/1"]) is None
