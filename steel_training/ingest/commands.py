"""The commands `sample`, `split`, `pack` and `ingest {masks,mvtec,folders,severstal,inspect,groups}`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from steel_training.errors import UsageError
from steel_training.ingest.command_options import (
    CleanMax,
    CleanNames,
    DefectiveMin,
    Edges,
    GreyRangeText,
    GroupRegex,
    Groups,
    HalfStride,
    Images,
    Missing,
    Names,
    Out,
    Patch,
    Stride,
    Unmatched,
    cut_rule,
    parse_grey_range,
    print_summary,
    refuse_both,
    show_progress,
    values,
    words,
)
from steel_training.ingest.cut_rule import SEVERSTAL_RULE, CutRule
from steel_training.ingest.region_commands import add_region_commands
from steel_training.storage.packed import PATCHES_PER_FILE

_MASKS_RULE = CutRule()

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")]
Copy = Annotated[str, typer.Argument(metavar="OUT", help="folder or s3://bucket/prefix of the copy; must be empty")]
datasets = typer.Typer(rich_markup_mode=None)
ingest = typer.Typer(rich_markup_mode=None, help="Cut source images into a dataset of labelled patches.")
datasets.add_typer(ingest, name="ingest")
add_region_commands(ingest)


@datasets.command()
def sample(
    out: Out,
    coils: Annotated[int, typer.Option(help="number of coils, which are the groups of the split")] = 24,
    photographs_per_coil: Annotated[int, typer.Option(help="source images of each coil")] = 4,
    patch: Patch = 64,
    seed: Annotated[int, typer.Option(help="the same seed makes the same bytes")] = 20,
) -> int:
    """Make a dataset of procedural steel strips, to try."""
    from steel_training.ingest.synthetic import make_sample

    progress = show_progress("sample", "coils")
    return print_summary(
        make_sample(
            out, coils=coils, photographs_per_coil=photographs_per_coil, seed=seed, patch=patch, progress=progress
        )
    )


@datasets.command()
def split(
    dataset: Dataset,
    out: Copy,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="COLUMN|steel",
            help="what must not straddle splits: the values of a column, or patches that show one piece of steel",
        ),
    ],
    seed: Annotated[int, typer.Option(help="seed of the splits; with few, unequal groups it has little effect")] = 20,
) -> int:
    """Copy a dataset with corrected groups and splits."""
    from steel_training.ingest.regrouping import regroup

    made = regroup(dataset, out, group_by=group_by, seed=seed, progress=show_progress("split", "patches"))
    sizes = ", ".join(f"{size:,} in {split}" for split, size in made.parts.items())
    sys.stderr.write(
        f"{made.dataset}: {made.patches:,} patches, {made.groups_before:,} groups became {made.groups:,}; {sizes}\n"
    )
    sys.stdout.write(json.dumps(asdict(made)) + "\n")
    return 0


@datasets.command()
def pack(
    dataset: Dataset,
    out: Copy,
    patches_a_file: Annotated[int, typer.Option(metavar="N", help="most patches in one ZIP file")] = PATCHES_PER_FILE,
) -> int:
    """Copy a dataset with its patches packed in few ZIP files."""
    from steel_training.ingest.packing import pack

    if patches_a_file < 1:
        raise UsageError(f"--patches-a-file is {patches_a_file}; expected at least 1.")
    made = pack(dataset, out, patches_a_file=patches_a_file, progress=show_progress("pack", "patches"))
    sys.stderr.write(f"{made.dataset}: {made.patches:,} patches in {made.files:,} files\n")
    sys.stdout.write(json.dumps(asdict(made)) + "\n")
    return 0


@ingest.command()
def masks(
    images: Images,
    masks: Annotated[
        str,
        typer.Argument(
            metavar="MASKS", help="folder or S3 prefix of masks: 0 is clean, other values are defect classes"
        ),
    ],
    out: Out,
    patch: Patch = _MASKS_RULE.patch,
    stride: Stride = None,
    clean_max: CleanMax = _MASKS_RULE.clean_max,
    defective_min: DefectiveMin = _MASKS_RULE.defective_min,
    grey_range: GreyRangeText = None,
    group_regex: GroupRegex = None,
    groups: Groups = None,
    edges: Edges = "cover",
    mask_suffix: Annotated[
        str, typer.Option(help="end of a mask's name that its image has not, such as _GT or _mask")
    ] = "",
    mask_folder: Annotated[
        str,
        typer.Option(
            metavar="IMAGES=MASKS",
            help="a folder of the path that differs: images=masks for a/images/1.png and a/masks/1.png",
        ),
    ] = "",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    names: Annotated[
        str, typer.Option(help="names of mask values, 1=inclusion,2=patches; with names, other values are refused")
    ] = "",
    clean_values: Annotated[str, typer.Option(help="mask values that are clean, such as 0,4", show_default="0")] = "",
    ignore_values: Annotated[str, typer.Option(help="mask values that were not annotated, such as 255")] = "",
    keep_defective: Annotated[float, typer.Option(help="share of defective patches to keep")] = 1.0,
    seed: Annotated[int, typer.Option(help="seed of the choice of defective patches")] = 0,
) -> int:
    """Source images with pixel masks: of the same name, with a suffix, or in a folder of another name."""
    from steel_training.ingest.masks import ingest_masks

    refuse_both(group_regex, groups)
    return print_summary(
        ingest_masks(
            images,
            masks,
            out,
            rule=cut_rule(_MASKS_RULE, patch, stride, clean_max, defective_min, edges),
            names=parse_names(names),
            clean_values=values("--clean-values", clean_values) if clean_values else None,
            ignore_values=values("--ignore-values", ignore_values),
            mask_suffix=mask_suffix,
            mask_folder=mask_folder,
            missing=missing,
            unmatched=unmatched,
            keep_defective=keep_defective,
            seed=seed,
            grey_range=parse_grey_range(grey_range),
            group_regex=group_regex,
            groups=groups,
            progress=show_progress("ingest", "images"),
        )
    )


@ingest.command()
def severstal(
    images: Images,
    train_csv: Annotated[str, typer.Argument(metavar="TRAIN_CSV", help="ImageId,ClassId,EncodedPixels")],
    out: Out,
    patch: Patch = SEVERSTAL_RULE.patch,
    stride: HalfStride = None,
    clean_max: CleanMax = SEVERSTAL_RULE.clean_max,
    defective_min: DefectiveMin = SEVERSTAL_RULE.defective_min,
    defective_pixels: Annotated[
        int | None, typer.Option(help="or from this number of defect pixels")
    ] = SEVERSTAL_RULE.defective_pixels,
    grey_range: GreyRangeText = None,
    group_regex: GroupRegex = None,
    groups: Groups = None,
    edges: Edges = "cover",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
) -> int:
    """Kaggle's Severstal format: run lengths in train.csv."""
    from steel_training.ingest.severstal import ingest_severstal

    refuse_both(group_regex, groups)
    rule = cut_rule(SEVERSTAL_RULE, patch, stride, clean_max, defective_min, edges)
    return print_summary(
        ingest_severstal(
            images,
            train_csv,
            out,
            rule=replace(rule, defective_pixels=defective_pixels),
            missing=missing,
            unmatched=unmatched,
            grey_range=parse_grey_range(grey_range),
            group_regex=group_regex,
            groups=groups,
            progress=show_progress("ingest", "images"),
        )
    )


@ingest.command()
def mvtec(
    root: Annotated[
        str, typer.Argument(metavar="CATEGORY", help="folder or S3 prefix with train, test and ground_truth")
    ],
    out: Out,
    patch: Patch = _MASKS_RULE.patch,
    stride: Stride = None,
    clean_max: CleanMax = _MASKS_RULE.clean_max,
    defective_min: DefectiveMin = _MASKS_RULE.defective_min,
    grey_range: GreyRangeText = None,
    group_regex: GroupRegex = None,
    groups: Groups = None,
    edges: Edges = "cover",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    names: Names = "",
    clean_names: CleanNames = "good",
) -> int:
    """The layout of MVTec AD: folders good and a folder per defect, with masks in ground_truth."""
    from steel_training.ingest.mvtec import ingest_mvtec

    refuse_both(group_regex, groups)
    return print_summary(
        ingest_mvtec(
            root,
            out,
            rule=cut_rule(_MASKS_RULE, patch, stride, clean_max, defective_min, edges),
            names=words(names),
            clean_names=words(clean_names),
            missing=missing,
            unmatched=unmatched,
            grey_range=parse_grey_range(grey_range),
            group_regex=group_regex,
            groups=groups,
            progress=show_progress("ingest", "images"),
        )
    )


@ingest.command()
def folders(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="folder or S3 prefix with a folder per class")],
    out: Out,
    grey_range: GreyRangeText = None,
    group_regex: GroupRegex = None,
    groups: Groups = None,
    names: Names = "",
    clean_names: CleanNames = "",
) -> int:
    """A folder of images per class, such as NEU-CLS: each image is one patch."""
    from steel_training.ingest.folders import ingest_folders

    refuse_both(group_regex, groups)
    return print_summary(
        ingest_folders(
            root,
            out,
            names=words(names),
            clean_names=words(clean_names),
            grey_range=parse_grey_range(grey_range),
            group_regex=group_regex,
            groups=groups,
            progress=show_progress("ingest", "images"),
        )
    )


@ingest.command("inspect")
def inspect_folder(
    path: Annotated[str, typer.Argument(metavar="PATH", help="folder or S3 prefix of images and annotations")],
) -> int:
    """Look at a folder: what is in it, and which command ingests it."""
    from steel_training.ingest.inspection import inspect

    sys.stdout.write(inspect(path) + "\n")
    return 0


@ingest.command("groups")
def find_groups(
    images: Images,
    out: Annotated[str, typer.Argument(metavar="CSV", help="file to write: source_id,group_id for every image")],
    patch: Annotated[int, typer.Option(help="side of the windows that are compared, pixels")] = 64,
    grey_range: GreyRangeText = None,
) -> int:
    """Find images that show the same steel, and write a table for --groups."""
    from steel_training.data.dataset import OutputExists
    from steel_training.ingest.overlap_groups import group_overlapping_images

    path = Path(out)
    if path.exists():
        raise OutputExists(f"{path} exists; nothing was written. Name a new file, or remove the old one first.")
    if not 16 <= patch <= 2048:
        raise UsageError(f"--patch is {patch} pixels; expected 16 to 2048.")
    table = group_overlapping_images(
        images, piece=patch, grey_range=parse_grey_range(grey_range), progress=show_progress("ingest", "images")
    )
    table.to_csv(path, index=False)
    sizes = table["group_id"].value_counts()
    alone = int((sizes == 1).sum())
    sys.stderr.write(
        f"{path}: {len(table):,} images in {len(sizes):,} groups; {alone:,} overlap with no other, the largest group has {int(sizes.max()):,}\n"
    )
    sys.stdout.write(json.dumps({"groups": str(path), "photographs": len(table), "found": len(sizes)}) + "\n")
    return 0


def parse_names(text: str) -> dict[int, str]:
    """Read `1=inclusion,2=patches` as names of mask values.

    Raises:
        UsageError: an entry is not `number=name` with a number from 1.
    """
    names = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        number, _, name = (word.strip() for word in entry.partition("="))
        if not (number.isascii() and number.isdigit() and int(number) >= 1 and name):
            raise UsageError(f"--names has {entry!r};  expected number=name from 1, such as 1=inclusion,2=patches.")
        names[int(number)] = name
    return names
