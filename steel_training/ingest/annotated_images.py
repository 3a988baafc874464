"""Source images with annotated regions become a dataset: what all such formats share, from names to the record."""

from __future__ import annotations

from functools import partial
from typing import Unpack

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.ingest.annotations import Annotation, AnnotationMissing, Annotations, AnnotationUnmatched
from steel_training.ingest.cut_images import Cutting, MaskOf
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.defect_classes import DefectClasses
from steel_training.ingest.name_matching import match_names
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import Problems, first_ten, in_folders
from steel_training.ingest.record import IngestRecord, Missing, Unmatched
from steel_training.ingest.source_images import ImageFiles, SourceImage
from steel_training.ingest.tiling import Cutter, IngestSummary


def ingest_annotated(
    sources: ImageFiles,
    annotations: Annotations,
    out: str,
    *,
    problems: Problems | None = None,
    **options: Unpack[IngestOptions],
) -> IngestSummary:
    """Cut source images with annotated regions into a dataset, or use whole images as patches.

    Args:
        sources: the images.
        annotations: of a format.
        out: folder or S3 prefix of the new dataset; must be empty.
        problems: that reading the annotations found already.
        options: see `IngestOptions`.

    Raises:
        AnnotationMissing: an image has no annotation and `missing` is 'error', or none has.
        AnnotationUnmatched: an annotation has no image and `unmatched` is 'error'.
        AnnotationAmbiguous: several annotations could belong to an image.
        AnnotationInvalid: an annotation cannot be read, or has a region outside its image.
        ClassUndefined: a class is in neither list, or its name suggests that it is not a defect.
        SizesDiffer: the size in an annotation differs from the image's; with `whole`, images differ in size.
        SourceImageTooSmall: a patch is larger than an image.
        GreyRangeMissing: images have more than 8 bits, and `grey_range` is not given.
        GreyRangeUnused: images have 8 bits, and it is given.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    problems = problems if problems is not None else Problems()
    record = IngestRecord(annotations.format)
    missing, unmatched = options.get("missing", "error"), options.get("unmatched", "error")
    taken = _taken(sources, annotations, problems, record, missing=missing, unmatched=unmatched)
    classes = DefectClasses(options.get("names", ()), options.get("clean_names", ()))
    masks: dict[str, MaskOf | None] = {
        name: None if annotation is None else partial(_mask, annotation, classes) for name, annotation in taken.items()
    }
    cutting = Cutting(
        sources,
        grey_range=options.get("grey_range"),
        group_regex=options.get("group_regex"),
        groups=options.get("groups"),
        whole=options.get("whole", False),
        progress=options.get("progress"),
    )
    with new_dataset(out) as writer:
        cutter = Cutter(writer, options.get("rule") or CutRule(), class_names=classes.named, record=record)
        cutting.run(masks, cutter, problems)
        if annotations.judge:
            annotations.judge(problems)
        classes.judge(problems, f"in {{}} {annotations.noun[1]}")
        problems.settle()
        record.by_value.clear()  # internal numbers, not values of a mask
        record.write(writer.folder)
    return cutter.summary(out)


def _mask(annotation: Annotation, classes: DefectClasses, source: SourceImage) -> np.ndarray:
    return classes.mask(annotation.regions(source), source.pixels.shape, annotation.label)


def _taken(
    sources: ImageFiles,
    annotations: Annotations,
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
) -> dict[str, Annotation | None]:
    """Return the annotation of every image to cut; `None` for one that is clean because nothing names it."""
    one, several = annotations.noun
    labels = {name: annotation.label for name, annotation in annotations.by_name.items()}
    matches = match_names(list(sources), labels, several)
    for problem in matches.ambiguous.values():
        problems.add(problem)
    absent = [name for name in sources if name not in matches.found and name not in matches.ambiguous]
    found_none = (
        f"{len(absent):,} of {len(sources):,} images have no {one} of the same name in {annotations.where}{in_folders(absent)}: "
        f"{first_ten(absent)}."
    )
    if absent and len(absent) == len(sources):
        example = f" It names {first_ten(labels.values())}." if labels else ""
        problems.add(AnnotationMissing(f"{found_none}{example} Check the folders, and the names of the files."))
        problems.settle()
    if absent and missing == "error":
        problems.add(
            AnnotationMissing(
                f"{found_none} Add them, or use --missing skip to leave these images out, --missing clean where no {one} means no defect."
            )
        )
    if matches.unmatched and unmatched == "error":
        problems.add(
            AnnotationUnmatched(
                f"{len(matches.unmatched):,} {several} belong to no image: {first_ten(matches.unmatched)}. Add the images, "
                f"correct the names, or use --unmatched skip to leave these {several} out."
            )
        )
    elif matches.unmatched:
        record.left_out[f"{several} without image (--unmatched skip)"] = list(matches.unmatched)
    if absent and missing == "skip":
        record.left_out[f"images without {one} (--missing skip)"] = absent
    named = set(absent) if missing == "clean" else set()
    return {
        name: annotations.by_name[matches.found[name]] if name in matches.found else None
        for name in sources
        if name in matches.found or name in named
    }
