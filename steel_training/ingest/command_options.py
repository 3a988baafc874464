"""Options that several ingest commands have, how their values are read, and what a command says while it works and at its end."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule

if TYPE_CHECKING:
    from steel_training.data.grey_range import GreyRange
    from steel_training.ingest.tiling import IngestSummary, Progress

_LINE_EVERY_SECONDS = 5.0

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
GreyRangeText = Annotated[
    str | None,
    typer.Option(
        "--grey-range",
        metavar="LOW:HIGH",
        help="for images of 12 or 16 bits: the grey values that become 0 and 255, the same in every image, such as 0:4095",
    ),
]
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

Whole = Annotated[bool, typer.Option("--whole", help="use each image as one patch")]
Names = Annotated[str, typer.Option(help="classes that are defects; with names, other classes are refused")]
CleanNames = Annotated[str, typer.Option(help="classes that are not defects, such as ok,background")]


def words(text: str) -> list[str]:
    """Read words separated by commas."""
    return [word for word in (word.strip() for word in text.split(",")) if word]


def values(option: str, text: str) -> frozenset[int]:
    """Read numbers from 0 separated by commas.

    Raises:
        UsageError: another word.
    """
    entries = words(text)
    for word in entries:
        if not (word.isascii() and word.isdigit()):
            raise UsageError(f"{option} has {word!r}; expected numbers from 0, such as 0,255.")
    return frozenset(map(int, entries))


def parse_grey_range(text: str | None) -> GreyRange | None:
    """Read the option `--grey-range`.

    Raises:
        GreyRangeInvalid: it is not LOW:HIGH.
    """
    if text is None:
        return None
    from steel_training.data.grey_range import GreyRange  # NumPy and Pillow, which --help does not need

    return GreyRange.parse(text)


def refuse_both(group_regex: str | None, groups: str | None) -> None:
    """Raise `UsageError` where both options are given."""
    if group_regex is not None and groups is not None:
        raise UsageError("--group-regex and --groups both define the groups; expected one of them.")


def cut_rule(
    default: CutRule,
    patch: int,
    stride: int | None,
    clean_max: float,
    defective_min: float,
    edges: Literal["cover", "leave"],
) -> CutRule:
    """Return the rule of a format with the options that were typed; a stride that was not is that of the format in proportion."""
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


def show_progress(what: str, unit: str) -> Progress:
    """Return a callable that shows progress on standard error: one line that is rewritten on a terminal, a line every few seconds in a log."""
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


def print_summary(summary: IngestSummary) -> int:
    """Print what an ingest did: for people on standard error, as JSON on standard output; return the exit status."""
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
