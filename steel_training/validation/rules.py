"""The expectations on a dataset, as a table: each row is one expectation, its severity, its target and its message.

A message is for the person who made the dataset: the finding, the target, and what to do. Fields of the
templates: `{facts}` (`frames.Facts`), `{limit}` (`ValidationConfig`), `{count}` and `{share}` of the unexpected rows,
`{named}` (the first ten of them) and `{missing}` columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from steel_training.config import ValidationConfig
from steel_training.data.columns import REQUIRED_COLUMNS
from steel_training.data.drift import DRIFTED_ABOVE
from steel_training.data.images import GREY_AND_RGB
from steel_training.data.splits import SPLITS
from steel_training.validation.frames import Facts

Severity = Literal["critical", "warning"]
CRITICAL: Severity = "critical"
WARNING: Severity = "warning"


@dataclass(frozen=True)
class Rule:
    """One expectation.

    Attributes:
        code: stable reason code; a warning may share it with a critical rule about the same thing.
        title: the expectation as a sentence.
        severity: critical blocks the run, warning is reported.
        kind: class in `great_expectations.expectations`.
        arguments: its arguments.
        expected: template of the target.
        message: template of the message when it fails.
        message_without_splits: template of the message where no splits could be made.
        observed: template of the finding.
        needs: columns that it requires.
        after: codes that must hold first: where they do not, its failure would only repeat theirs.
        needs_splits: not judged where no splits could be made.
        applies: whether it is relevant; if not, it is not listed.
        table: the table that it checks; `parts` has one row per class and split.
        shows_values: the message gives the offending value beside the name of the row.
    """

    code: str
    title: str
    severity: Severity
    kind: str
    arguments: Callable[[Facts, ValidationConfig], Mapping[str, object]]
    expected: str
    message: str
    observed: str = "{count:,} of {facts.patches:,} unexpected"
    message_without_splits: str | None = None
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    needs_splits: bool = False
    applies: Callable[[Facts, ValidationConfig], bool] = lambda *_: True
    table: Literal["patches", "parts", "drift"] = "patches"
    shows_values: bool = True


def _brightness(
    mostly: Callable[[ValidationConfig], float],
) -> Callable[[Facts, ValidationConfig], Mapping[str, object]]:
    return lambda _, limit: {
        "column": "brightness",
        "min_value": limit.min_brightness,
        "max_value": limit.max_brightness,
        "mostly": mostly(limit),
    }


def _contrast(mostly: Callable[[ValidationConfig], float]) -> Callable[[Facts, ValidationConfig], Mapping[str, object]]:
    return lambda _, limit: {"column": "contrast", "min_value": limit.min_contrast, "mostly": mostly(limit)}


def _most(limit: ValidationConfig) -> float:
    return 1.0 - limit.max_odd_share


def _all(_: ValidationConfig) -> float:
    return 1.0


_DRIFT_FOUND = "{count:,} above it; the highest is {facts.most_drift:.3f}"
_DRIFT_ADVICE = (
    "Find out what changed on site (lighting, camera, steel, annotators): the champion may be worse on these patches, and "
    "earlier metrics are not comparable."
)
_LABELLED = ("data.labels", "data.both_classes")
_MODES = " or ".join(sorted(GREY_AND_RGB))

RULES = (
    Rule(
        code="data.required_columns",
        title=f"The manifest has the columns {', '.join(REQUIRED_COLUMNS)}",
        severity=CRITICAL,
        kind="ExpectTableColumnsToMatchSet",
        arguments=lambda *_: {"column_set": list(REQUIRED_COLUMNS), "exact_match": False},
        expected=", ".join(REQUIRED_COLUMNS),
        observed="missing: {missing}",
        message="The manifest has no column {missing}; it needs "
        + ", ".join(REQUIRED_COLUMNS)
        + ". Add the column, or rename an existing one.",
    ),
    Rule(
        code="data.row_count",
        title="There are enough patches",
        severity=CRITICAL,
        kind="ExpectTableRowCountToBeBetween",
        arguments=lambda _, limit: {"min_value": limit.min_patches},
        expected="at least {limit.min_patches:,}",
        observed="{facts.patches:,}",
        message="The manifest lists {facts.patches:,} patches; at least {limit.min_patches:,} are needed "
        "(validation.min_patches). Add patches: a model trained on fewer cannot be judged.",
    ),
    Rule(
        code="data.ids_present",
        title="Every patch has a patch_id",
        severity=CRITICAL,
        kind="ExpectColumnValuesToNotBeNull",
        arguments=lambda *_: {"column": "patch_id"},
        expected="no empty patch_id",
        message="{count:,} of {facts.patches:,} rows have no patch_id: {named}. Give every patch a unique id.",
        needs=("patch_id",),
        shows_values=False,
    ),
    Rule(
        code="data.ids_present",
        title="Every patch has the id of its source image",
        severity=CRITICAL,
        kind="ExpectColumnValuesToNotBeNull",
        arguments=lambda *_: {"column": "source_id"},
        expected="no empty source_id",
        message="{count:,} of {facts.patches:,} patches have no source_id: {named}. Fill it in: without "
        "it, patches of one source image could be in training and test at once.",
        needs=("source_id",),
        shows_values=False,
    ),
    Rule(
        code="data.unique_ids",
        title="No patch_id occurs twice",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeUnique",
        arguments=lambda *_: {"column": "patch_id"},
        expected="unique",
        message="{count:,} of {facts.patches:,} rows share their patch_id with another: {named}. Give every patch a unique id, "
        "or remove the duplicate rows.",
        needs=("patch_id",),
        shows_values=False,
    ),
    Rule(
        code="data.labels",
        title="Every label is 0 (clean) or 1 (defective)",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeInSet",
        arguments=lambda *_: {"column": "label", "value_set": ["0", "1"]},
        expected="0 or 1",
        message="{count:,} of {facts.patches:,} labels are neither 0 (clean) nor 1 (defective): {named}. "
        "Correct the column label; defect types belong in defect_type.",
        needs=("label",),
    ),
    Rule(
        code="data.label_contradicts_defect_type",
        title="No label contradicts defect_type",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeNull",
        arguments=lambda *_: {"column": "contradiction"},
        expected="defect_type empty for clean patches, filled for defective ones",
        message="{count:,} of {facts.patches:,} labels contradict defect_type ({facts.kinds.typed_clean:,} clean patches have a "
        "defect type, {facts.kinds.untyped_defective:,} defective ones have none): {named}. {facts.contradiction_advice}.",
        needs=("label",),
        applies=lambda facts, _: facts.kinds is not None and facts.kinds.typed > 0,
    ),
    Rule(
        code="data.both_classes",
        title="There are clean and defective patches",
        severity=CRITICAL,
        kind="ExpectColumnDistinctValuesToContainSet",
        arguments=lambda *_: {"column": "label", "value_set": ["0", "1"]},
        expected="both",
        observed="{facts.clean:,} clean, {facts.defective:,} defective",
        message="There are {facts.clean:,} clean and {facts.defective:,} defective patches; both classes are needed. "
        "Add {facts.rarer} patches: nothing can be learned from one class.",
        needs=("label",),
        after=("data.labels",),
    ),
    Rule(
        code="data.class_share",
        title="The rarer class is not too rare",
        severity=CRITICAL,
        kind="ExpectColumnMeanToBeBetween",
        arguments=lambda _, limit: {
            "column": "defective",
            "min_value": limit.min_class_share,
            "max_value": 1 - limit.min_class_share,
        },
        expected="at least {limit.min_class_share:.2%}",
        observed="{facts.clean:,} clean, {facts.defective:,} defective",
        message="Of {facts.patches:,} patches {facts.clean:,} are clean and {facts.defective:,} defective; the rarer class "
        "must reach {limit.min_class_share:.2%} (validation.min_class_share). Add {facts.rarer} patches, or leave out "
        "some of the other class.",
        needs=("label",),
        after=_LABELLED,
    ),
    Rule(
        code="data.class_imbalance",
        title="The classes are not strongly imbalanced",
        severity=WARNING,
        kind="ExpectColumnMeanToBeBetween",
        arguments=lambda _, limit: {
            "column": "defective",
            "min_value": 1 / (1 + limit.max_imbalance),
            "max_value": limit.max_imbalance / (1 + limit.max_imbalance),
        },
        expected="at most {limit.max_imbalance:g} : 1",
        observed="{facts.ratio:.1f} : 1",
        message="{facts.clean:,} patches are clean and {facts.defective:,} defective, {facts.ratio:.1f} : 1; above "
        "{limit.max_imbalance:g} : 1 (validation.max_imbalance) recall and precision are estimated from few patches. "
        "Add {facts.rarer} patches, or adjust training.class_weights.",
        needs=("label",),
        after=(*_LABELLED, "data.class_share"),
    ),
    Rule(
        code="data.mostly_defective",
        title="Most patches are clean",
        severity=WARNING,
        kind="ExpectColumnMeanToBeBetween",
        arguments=lambda *_: {"column": "defective", "max_value": 0.5},
        expected="at most half defective",
        observed="{facts.clean:,} clean, {facts.defective:,} defective",
        message="{facts.defective:,} of {facts.patches:,} patches are defective and {facts.clean:,} clean. Steel is mostly clean: check "
        "that 1 means defective, and that masks are not inverted. If the numbers are right, leave out some of the defective patches, "
        "or adjust training.class_weights.",
        needs=("label",),
        after=_LABELLED,
    ),
    Rule(
        code="data.split_values",
        title="Every patch is in train, val or test",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeInSet",
        arguments=lambda *_: {"column": "part", "value_set": list(SPLITS)},
        expected=", ".join(SPLITS),
        message="{count:,} of {facts.patches:,} patches are in none of the splits: {named}. The column split takes "
        "train, val and test; correct it, or leave it out and the splits are made by group.",
        needs=("part",),
        needs_splits=True,
    ),
    Rule(
        code="data.both_classes_in_every_split",
        title="Every split has enough patches of both classes",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeBetween",
        arguments=lambda _, limit: {"column": "patches", "min_value": limit.min_per_class_and_split},
        expected="at least {limit.min_per_class_and_split:,} of each class in train, val and test",
        observed="too few: {named}",
        message="Every split needs at least {limit.min_per_class_and_split:,} patches of each class "
        "(validation.min_per_class_and_split), and there are fewer: {named}. Add patches from further source images, or "
        "correct the column split.",
        message_without_splits="No train, val and test splits could be made: {facts.split_problem}. Add patches from further "
        "source images or groups: each is in one split only, and every split needs both classes.",
        needs=("part", "label"),
        after=(
            "data.required_columns",
            "data.row_count",
            "data.ids_present",
            "data.labels",
            "data.both_classes",
            "data.split_values",
        ),
        table="parts",
    ),
    Rule(
        code="data.disjoint_groups",
        title="No group or source image is in two splits",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeBetween",
        arguments=lambda *_: {"column": "splits_of_group", "min_value": 1, "max_value": 1},
        expected="one split per group",
        message="{count:,} of {facts.patches:,} patches belong to groups that are in more than one split ({facts.straddling}). "
        "Put each group into one split, or leave the column split out: test patches must come from source images "
        "that training has not seen.",
        needs=("part", "source_id"),
        after=("data.split_values",),
        needs_splits=True,
        shows_values=False,
    ),
    Rule(
        code="data.path_inside",
        title="Every path stays in the dataset",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeNull",
        arguments=lambda *_: {"column": "leaves_dataset"},
        expected="relative paths without '..'",
        message="{count:,} of {facts.patches:,} paths leave the dataset and were not opened: {named}. "
        "Write paths relative to the manifest, without '..', and put the files below it.",
        needs=("path", "path_problem"),
    ),
    Rule(
        code="data.files_present",
        title="Every path is a readable file",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeNull",
        arguments=lambda *_: {"column": "not_read"},
        expected="a file for every path",
        message="{count:,} of {facts.patches:,} patches have no file: {named}. Add the files, correct the paths, or remove "
        "the rows.",
        needs=("path", "path_problem"),
    ),
    Rule(
        code="data.decodable",
        title="Every file is a complete PNG, JPEG, BMP or TIFF image",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeNull",
        arguments=lambda *_: {"column": "decode_error"},
        expected="decodable",
        message="{count:,} of {facts.patches:,} files cannot be decoded: {named}. Copy them again from their origin, save "
        "them as the reason says, or remove their rows.",
        needs=("path", "decode_error"),
    ),
    Rule(
        code="data.mode",
        title="Every image is 8-bit grey or RGB",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeInSet",
        arguments=lambda *_: {"column": "mode", "value_set": sorted(GREY_AND_RGB)},
        expected=f"mode {_MODES}",
        message="{count:,} of {facts.patches:,} images are neither 8-bit grey nor RGB: {named}. "
        f"Convert them to mode {_MODES}; 16-bit images need the same scaling for all of them.",
        needs=("path", "mode"),
    ),
    Rule(
        code="data.one_mode",
        title="All images are grey, or all are RGB",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeInSet",
        arguments=lambda facts, _: {"column": "grey_or_rgb", "value_set": [facts.mode]},
        expected="all as the majority: {facts.mode}",
        message="{count:,} of {facts.patches:,} images differ from the majority's mode ({facts.mode}): {named}. "
        "Convert them: a model can learn the camera instead of the defect.",
        needs=("path", "mode"),
    ),
    Rule(
        code="data.one_size",
        title="All images have one size",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeInSet",
        arguments=lambda facts, _: {"column": "size", "value_set": [facts.size]},
        expected="all as the majority: {facts.size} pixels",
        message="{count:,} of {facts.patches:,} images differ from the majority's size ({facts.size} pixels): {named}. "
        "Cut all patches to one size.",
        needs=("path", "width", "height"),
    ),
    Rule(
        code="data.format",
        title="All files have one format",
        severity=WARNING,
        kind="ExpectColumnValuesToBeInSet",
        arguments=lambda facts, _: {"column": "format", "value_set": [facts.format]},
        expected="all as the majority: {facts.format}",
        message="{count:,} of {facts.patches:,} files differ from the majority's format ({facts.format}): {named}. "
        "Save all in one format: compression artefacts can predict the label.",
        needs=("path", "format"),
    ),
    Rule(
        code="data.brightness",
        title="Almost no patch is too dark or overexposed",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeBetween",
        arguments=_brightness(_most),
        expected="mean grey {limit.min_brightness:g} to {limit.max_brightness:g} in all but {limit.max_odd_share:.1%}",
        message="{count:,} of {facts.patches:,} patches ({share:.1%}) have a mean grey value outside {limit.min_brightness:g} to "
        "{limit.max_brightness:g}; at most {limit.max_odd_share:.1%} may (validation.max_odd_share): {named}. Check lighting "
        "and exposure, and leave these patches out.",
        needs=("path", "brightness"),
    ),
    Rule(
        code="data.brightness",
        title="No patch is too dark or overexposed",
        severity=WARNING,
        kind="ExpectColumnValuesToBeBetween",
        arguments=_brightness(_all),
        expected="mean grey {limit.min_brightness:g} to {limit.max_brightness:g}",
        message="{count:,} of {facts.patches:,} patches have a mean grey value outside {limit.min_brightness:g} to "
        "{limit.max_brightness:g}: {named}. Look at them, and leave out those that show no steel.",
        needs=("path", "brightness"),
        after=("data.brightness",),
    ),
    Rule(
        code="data.contrast",
        title="Almost no patch is blank",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeBetween",
        arguments=_contrast(_most),
        expected="standard deviation of grey at least {limit.min_contrast:g} in all but {limit.max_odd_share:.1%}",
        message="{count:,} of {facts.patches:,} patches ({share:.1%}) are blank: their grey values vary by less than "
        "{limit.min_contrast:g} (validation.min_contrast); at most {limit.max_odd_share:.1%} may be "
        "(validation.max_odd_share): {named}. Check the camera, and leave these patches out.",
        needs=("path", "contrast"),
    ),
    Rule(
        code="data.contrast",
        title="No patch is blank",
        severity=WARNING,
        kind="ExpectColumnValuesToBeBetween",
        arguments=_contrast(_all),
        expected="standard deviation of grey at least {limit.min_contrast:g}",
        message="{count:,} of {facts.patches:,} patches are blank: their grey values vary by less than {limit.min_contrast:g} "
        "(validation.min_contrast): {named}. Look at them, and leave out those that show no steel.",
        needs=("path", "contrast"),
        after=("data.contrast",),
    ),
    Rule(
        code="data.duplicate_content",
        title="No image is in two splits or under both labels",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeNull",
        arguments=lambda *_: {"column": "twin_elsewhere"},
        expected="no identical pixels in another split or with the other label",
        message="{count:,} of {facts.patches:,} patches have the same pixels as one in another split or with the other "
        "label: {named}. Remove all but one of each: test images must not be in training, and one image has one label.",
        needs=("path", "pixel_hash", "part", "label"),
    ),
    Rule(
        code="data.duplicate_content",
        title="No image occurs twice",
        severity=WARNING,
        kind="ExpectColumnValuesToBeNull",
        arguments=lambda *_: {"column": "twin_beside"},
        expected="no identical pixels",
        message="{count:,} of {facts.patches:,} patches have the same pixels as another of the same split and label: "
        "{named}. Remove all but one of each: they count double.",
        needs=("path", "pixel_hash", "part", "label"),
    ),
    Rule(
        code="data.drift",
        title="The patches do not drift from the champion's training data beyond validation.max_drift",
        severity=CRITICAL,
        kind="ExpectColumnValuesToBeBetween",
        arguments=lambda _, limit: {"column": "drift", "max_value": limit.max_drift},
        expected="population stability index at most {limit.max_drift}, or within the chance level",
        observed=_DRIFT_FOUND,
        message="The patches have drifted from the data that champion {facts.champion} was trained on; population stability index "
        "above {limit.max_drift} (validation.max_drift): {named}. " + _DRIFT_ADVICE,
        applies=lambda facts, limit: limit.max_drift is not None and bool(facts.champion),
        table="drift",
    ),
    Rule(
        code="data.drift",
        title="The patches do not drift from the champion's training data",
        severity=WARNING,
        kind="ExpectColumnValuesToBeBetween",
        arguments=lambda *_: {"column": "drift", "max_value": DRIFTED_ABOVE},
        expected=f"population stability index at most {DRIFTED_ABOVE}, or within the chance level",
        observed=_DRIFT_FOUND,
        message="The patches have drifted from the data that champion {facts.champion} was trained on; population stability index "
        f"above {DRIFTED_ABOVE}: {{named}}. " + _DRIFT_ADVICE,
        after=("data.drift",),
        applies=lambda facts, _: bool(facts.champion),
        table="drift",
    ),
)
