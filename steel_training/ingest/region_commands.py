"""The commands `ingest {coco,yolo,labelme,voc,cvat,labelstudio}`: formats of annotated regions, which take the same options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steel_training.ingest.command_options import (
    CleanMax,
    CleanNames,
    DefectiveMin,
    Edges,
    GreyRangeText,
    GroupRegex,
    Groups,
    Images,
    Missing,
    Names,
    Out,
    Patch,
    Stride,
    Unmatched,
    Whole,
    cut_rule,
    parse_grey_range,
    print_summary,
    refuse_both,
    show_progress,
    words,
)
from steel_training.ingest.cut_rule import VOC_RULE, CutRule

if TYPE_CHECKING:
    from steel_training.ingest.tiling import IngestSummary

AnnotationsPath = Annotated[
    str,
    typer.Argument(
        metavar="ANNOTATIONS", help="folder or S3 prefix of annotation files, or the one file that holds all"
    ),
]
Classes = Annotated[
    str,
    typer.Option(metavar="FILE|NAMES", help="data.yaml, a text file with a name on each line, or 0=scratch,1=pit"),
]
Task = Annotated[
    Literal["auto", "segment", "pose"],
    typer.Option(
        help="lines of more than five numbers: polygons (segment) or boxes with key points (pose), of which the box is taken"
    ),
]

# Boxes are larger than their defects; polygons and masks are not.
_FORMATS = {
    "coco": ("COCO: one JSON file with polygons, run lengths or boxes.", CutRule()),
    "labelme": ("LabelMe: a JSON file per image with polygons, rectangles, circles or masks.", CutRule()),
    "voc": ("Source images with Pascal VOC boxes, such as NEU-DET.", VOC_RULE),
    "cvat": ("CVAT for images 1.1: one XML file with boxes, polygons, ellipses or masks.", CutRule()),
    "labelstudio": ("Label Studio: its JSON export with rectangles, polygons, ellipses or brush masks.", CutRule()),
}


def add_region_commands(ingest: typer.Typer) -> None:
    """Add a command for each format."""
    for name, (shown, rule) in _FORMATS.items():
        ingest.command(name, help=shown)(_command(name, rule))
    ingest.command()(yolo)


def yolo(
    images: Images,
    annotations: AnnotationsPath,
    out: Out,
    classes: Classes,
    task: Task = "auto",
    patch: Patch = VOC_RULE.patch,
    stride: Stride = None,
    clean_max: CleanMax = VOC_RULE.clean_max,
    defective_min: DefectiveMin = VOC_RULE.defective_min,
    grey_range: GreyRangeText = None,
    group_regex: GroupRegex = None,
    groups: Groups = None,
    whole: Whole = False,
    edges: Edges = "cover",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    names: Names = "",
    clean_names: CleanNames = "",
) -> int:
    """YOLO: a text file per image with boxes, polygons, or boxes with key points; an empty file is a clean image."""
    from steel_training.ingest import ingest_yolo

    refuse_both(group_regex, groups)
    summary = ingest_yolo(
        images,
        annotations,
        out,
        classes=classes,
        task=task,
        rule=cut_rule(VOC_RULE, patch, stride, clean_max, defective_min, edges),
        whole=whole,
        names=words(names),
        clean_names=words(clean_names),
        missing=missing,
        unmatched=unmatched,
        grey_range=parse_grey_range(grey_range),
        group_regex=group_regex,
        groups=groups,
        progress=show_progress("ingest", "images"),
    )
    return print_summary(summary)


def _command(name: str, rule: CutRule) -> Callable[..., int]:
    def command(
        images: Images,
        annotations: AnnotationsPath,
        out: Out,
        patch: Patch = rule.patch,
        stride: Stride = None,
        clean_max: CleanMax = rule.clean_max,
        defective_min: DefectiveMin = rule.defective_min,
        grey_range: GreyRangeText = None,
        group_regex: GroupRegex = None,
        groups: Groups = None,
        whole: Whole = False,
        edges: Edges = "cover",
        missing: Missing = "error",
        unmatched: Unmatched = "error",
        names: Names = "",
        clean_names: CleanNames = "",
    ) -> int:
        from steel_training import ingest

        refuse_both(group_regex, groups)
        cut: Callable[..., IngestSummary] = getattr(ingest, f"ingest_{name}")
        summary = cut(
            images,
            annotations,
            out,
            rule=cut_rule(rule, patch, stride, clean_max, defective_min, edges),
            whole=whole,
            names=words(names),
            clean_names=words(clean_names),
            missing=missing,
            unmatched=unmatched,
            grey_range=parse_grey_range(grey_range),
            group_regex=group_regex,
            groups=groups,
            progress=show_progress("ingest", "images"),
        )
        return print_summary(summary)

    return command
