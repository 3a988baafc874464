"""The commands `sample`, `split`, `pack` and `ingest {masks,severstal,voc,groups}`: options, progress and closing messages."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import SEVERSTAL_RULE, VOC_RULE, CutRule
from steel_training.storage.packed import PATCHES_PER_FILE

if TYPE_CHECKING:
    from steel_training.ingest.tiling import IngestSummary, Progress

_LINE_EVERY_SECONDS = 5.0
_MASKS_RULE = CutRule()

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")]
Copy = Annotated[str, typer.Argument(metavar="OUT", help="folder or s3://bucket/prefix of the copy; must be empty")]
Out = Annotated[
    str, typer.Argument(metavar="OUT", help="folder or s3://bucket/prefix of the new dataset; must be empty")
]
Images = Annotated[str, typer.Argument(metavar="IMAGES", help="folder or S3 prefix of source images")]

Patch = Annotated[int, typer.Option(help="side of a patch in pixels")]
Stride = Annotated[int | None, typer.Option(help="step from patch to patch in pixels", show_default="the patch's side")]
HalfStride = Annotated[
    int | None,
    typer.Option("--stride", help="step from patch to patch in pixels", show_default="half the patch's side"),
]
CleanMax = Annotated[float, typer.Option(help="a patch is clean up to this share of defect pixels")]
DefectiveMin = Annotated[float, typer.Option(help="and defective from this share; patches in between are dropped")]
GroupRegex = Annotated[
    str | None,
    typer.Option(metavar="REGEX", help="finds the group in an image's name, such as '^(coil[0-9]+)_'"),
]
Groups = Annotated[
    str | None,
    typer.Option(metavar="CSV", help="or a table source_id,group_id[,line,captured_at,…] with every image"),
]
Missing = Annotated[
    Literal["error", "clean", "skip"],
    typer.Option(help="images without an annotation: an error, clean, or left out (skip)"),
]
Unmatched = Annotated[
    Literal["error", "skip"],
    typer.Option(help="annotations without an image: an error, or left out (skip)"),
]
Edges = Annotated[
    Literal["cover", "leave"],
    typer.Option(
        help="where the grid ends before the right or bottom edge: cover adds a last column and row of patches there"
    ),
]

datasets = typer.Typer(rich_markup_mode=None)
ingest = typer.Typer(rich_markup_mode=None, help="Cut source images into a dataset of labelled patches.")
datasets.add_typer(ingest, name="ingest")


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

    progress = _progress("sample", "coils")
    return _report(
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

    made = regroup(dataset, out, group_by=group_by, seed=seed, progress=_progress("split", "patches"))
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
    made = pack(dataset, out, patches_a_file=patches_a_file, progress=_progress("pack", "patches"))
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
    group_regex: GroupRegex = None,
    groups: Groups = None,
    edges: Edges = "cover",
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
    """Source images with pixel masks of the same name."""
    from steel_training.ingest.masks import ingest_masks

    _refuse_both(group_regex, groups)
    return _report(
        ingest_masks(
            images,
            masks,
            out,
            rule=_rule(_MASKS_RULE, patch, stride, clean_max, defective_min, edges),
            names=parse_names(names),
            clean_values=_values("--clean-values", clean_values) if clean_values else None,
            ignore_values=_values("--ignore-values", ignore_values),
            missing=missing,
            unmatched=unmatched,
            keep_defective=keep_defective,
            seed=seed,
            group_regex=group_regex,
            groups=groups,
            progress=_progress("ingest", "images"),
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
    group_regex: GroupRegex = None,
    groups: Groups = None,
    edges: Edges = "cover",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
) -> int:
    """Kaggle's Severstal format: run lengths in train.csv."""
    from steel_training.ingest.severstal import ingest_severstal

    _refuse_both(group_regex, groups)
    rule = _rule(SEVERSTAL_RULE, patch, stride, clean_max, defective_min, edges)
    return _report(
        ingest_severstal(
            images,
            train_csv,
            out,
            rule=replace(rule, defective_pixels=defective_pixels),
            missing=missing,
            unmatched=unmatched,
            group_regex=group_regex,
            groups=groups,
            progress=_progress("ingest", "images"),
        )
    )


@ingest.command()
def voc(
    images: Images,
    annotations: Annotated[str, typer.Argument(metavar="ANNOTATIONS", help="folder or S3 prefix of XML files")],
    out: Out,
    patch: Patch = VOC_RULE.patch,
    stride: Stride = None,
    clean_max: CleanMax = VOC_RULE.clean_max,
    defective_min: DefectiveMin = VOC_RULE.defective_min,
    group_regex: GroupRegex = None,
    groups: Groups = None,
    whole: Annotated[bool, typer.Option("--whole", help="use each image as one patch")] = False,
    edges: Edges = "cover",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    names: Annotated[str, typer.Option(help="classes that are defects; with names, other classes are refused")] = "",
    clean_names: Annotated[str, typer.Option(help="classes of boxes that are not defects, such as ok,background")] = "",
) -> int:
    """Source images with Pascal VOC boxes, such as NEU-DET."""
    from steel_training.ingest.voc import ingest_voc

    _refuse_both(group_regex, groups)
    return _report(
        ingest_voc(
            images,
            annotations,
            out,
            rule=_rule(VOC_RULE, patch, stride, clean_max, defective_min, edges),
            whole=whole,
            names=_words(names),
            clean_names=_words(clean_names),
            missing=missing,
            unmatched=unmatched,
            group_regex=group_regex,
            groups=groups,
            progress=_progress("ingest", "images"),
        )
    )


@ingest.command("groups")
def find_groups(
    images: Images,
    out: Annotated[str, typer.Argument(metavar="CSV", help="file to write: source_id,group_id for every image")],
    patch: Annotated[int, typer.Option(help="side of the windows that are compared, pixels")] = 64,
) -> int:
    """Find images that show the same steel, and write a table for --groups."""
    from steel_training.data.dataset import OutputExists
    from steel_training.ingest.overlap_groups import group_overlapping_images

    path = Path(out)
    if path.exists():
        raise OutputExists(f"{path} exists; nothing was written. Name a new file, or remove the old one first.")
    if not 16 <= patch <= 2048:
        raise UsageError(f"--patch is {patch} pixels; expected 16 to 2048.")
    table = group_overlapping_images(images, piece=patch, progress=_progress("ingest", "images"))
    table.to_csv(path, index=False)
    sizes = table["group_id"].value_counts()
    alone = int((sizes == 1).sum())
    sys.stderr.write(
        f"{path}: {len(table):,} images in {len(sizes):,} groups; {alone:,} overlap with no other, the largest group has {int(sizes.max()):,}\n"
    )
    sys.stdout.write(json.dumps({"groups": str(path), "photographs": len(table), "found": len(sizes)}) + "\n")
    return 0


def parse_names(text: str) -> dict[int, str]:
    """Reads `1=inclusion,2=patches` as names of mask values.

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


def _words(text: str) -> list[str]:
    return [word for word in (word.strip() for word in text.split(",")) if word]


def _values(option: str, text: str) -> frozenset[int]:
    words = _words(text)
    for word in words:
        if not (word.isascii() and word.isdigit()):
            raise UsageError(f"{option} has {word!r}; expected numbers from 0, such as 0,255.")
    return frozenset(map(int, words))


def _refuse_both(group_regex: str | None, groups: str | None) -> None:
    if group_regex is not None and groups is not None:
        raise UsageError("--group-regex and --groups both define the groups; expected one of them.")


def _rule(
    default: CutRule,
    patch: int,
    stride: int | None,
    clean_max: float,
    defective_min: float,
    edges: Literal["cover", "leave"],
) -> CutRule:
    if stride is None:
        stride = patch * default.stride // default.patch
    return replace(
        default,
        patch=patch,
        stride=stride,
        clean_max=clean_max,
        defective_min=defective_min,
        cover_edges=edges == "cover",
    )


def _progress(what: str, unit: str) -> Progress:
    """Returns a callable that shows progress on standard error: one line that is rewritten on a terminal, a line every few seconds in a log."""
    terminal = sys.stderr.isatty()
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if terminal:
            sys.stderr.write(f"\r{what}  {done}/{total} {unit}" + ("\n" if done == total else ""))
        elif done == total or now - last >= _LINE_EVERY_SECONDS:
            last = now
            sys.stderr.write(f"{what}  {done}/{total} {unit}\n")
        sys.stderr.flush()

    return show


def _report(summary: IngestSummary) -> int:
    clean = summary.patches - summary.defective
    left_out = [
        f"{count:,} {why}"
        for count, why in (
            (summary.undecided, "undecided (too few defect pixels)"),
            (summary.blank, "blank"),
            (summary.thinned, "defective, subsampled"),
        )
        if count
    ]
    sys.stderr.write(
        f"{summary.dataset}: {summary.patches:,} patches, {clean:,} clean and {summary.defective:,} defective, "
        f"from {summary.sources:,} source images in {summary.groups:,} groups"
        f"{'; left out: ' + ', '.join(left_out) if left_out else ''}\n"
    )
    if summary.record is not None and summary.record.format:
        sys.stderr.write(summary.record.table() + "\n")
    if not clean or not summary.defective:
        sys.stderr.write(f"All patches are {'defective' if not clean else 'clean'}: a run on them will be blocked.\n")
    result = {key: getattr(summary, key) for key in ("dataset", "patches", "defective", "sources", "groups")}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0
