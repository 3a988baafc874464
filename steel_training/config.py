"""The configuration of a run: every setting with its type, range, default and description.

The YAML file, `--set key=value` on the command line and the trigger form in Airflow share the dotted keys of this
model (`training.head.epochs`), because all three are derived from it. Descriptions that begin with "Design default" mark
values prescribed by the modelling design that the project implements: do not change them in a refactoring.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from steel_training.errors import UsageError
from steel_training.verdict import refuse_unknown

Backbone = Literal["EfficientNetB0", "ResNet50"]
Loss = Literal["binary_crossentropy", "focal"]
Evidence = Literal["point", "bound"]

JUDGED = ("recall", "f2", "precision", "auc")
"""Metrics with a target in `GateConfig`."""

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


class ConfigError(UsageError):
    """A configuration key is unknown or its value is out of range."""


class Section(BaseModel):
    """A group of settings; unknown keys are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """Splits and preprocessing."""

    input_size: int = Field(
        128, ge=32, le=512, description="Input size of the backbone in pixels; every patch is resized to it."
    )
    seed: int = Field(20, ge=0, le=2**31 - 1, description="Random seed of the split and of training.")
    val_share: float = Field(
        0.2,
        ge=0.05,
        le=0.4,
        description="Share of the groups in the validation split, which chooses checkpoint and threshold.",
    )
    test_share: float = Field(
        0.2, ge=0.05, le=0.4, description="Share of the groups in the test split, which is evaluated once."
    )
    prevalence: Rate | None = Field(
        None,
        lt=1.0,
        description="Share of defective patches in production, where it differs from the dataset; the report then also gives precision at this rate.",
    )


class ValidationConfig(Section):
    """Limits of the Great Expectations suite that a dataset must pass before training."""

    min_patches: int = Field(200, ge=1, description="Minimum number of patches; fewer block the run.")
    min_class_share: Share = Field(0.01, description="Minimum share of the rarer class among all patches.")
    min_per_class_and_split: int = Field(5, ge=1, description="Minimum number of patches of each class in every split.")
    min_brightness: float = Field(
        4.0, ge=0, le=255, description="Mean grey value below which a patch counts as too dark."
    )
    max_brightness: float = Field(
        251.0, ge=0, le=255, description="Mean grey value above which a patch counts as overexposed."
    )
    min_contrast: float = Field(
        1.0, ge=0, le=128, description="Standard deviation of grey values below which a patch counts as blank."
    )
    max_odd_share: Share = Field(
        0.02,
        description="Share of dark, overexposed or blank patches above which the run is blocked; a smaller share is a warning.",
    )
    max_imbalance: float = Field(
        20.0, ge=1, description="Ratio of majority to minority class above which class imbalance is a warning."
    )
    max_drift: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Population stability index against the champion's dataset above which the run is blocked; empty: drift is only a warning.",
    )


class BaselineConfig(Section):
    """The baseline CNN, which detects leakage and collapse before the backbone is trained."""

    input_size: int = Field(
        64, ge=32, le=256, description="Input size of the baseline CNN in pixels; every patch is resized to it."
    )
    epochs: int = Field(6, ge=1, le=1000, description="Epochs of the baseline CNN.")
    min_steps: int = Field(
        400,
        ge=0,
        le=100_000,
        description="Minimum number of training steps; a small dataset gets more epochs to reach it, because an undertrained CNN looks collapsed.",
    )
    learning_rate: Rate = Field(1e-3, description="Learning rate of the baseline CNN (Adam).")
    batch_size: int = Field(32, ge=1, le=1024, description="Batch size of the baseline CNN.")
    too_good: Share = Field(
        0.99,
        description="Design default 0.99: AUC or balanced accuracy that indicates leakage when the baseline CNN reaches it at once.",
    )
    too_good_epochs: int = Field(2, ge=1, le=10, description="Number of first epochs that count as 'at once'.")
    too_good_steps: int = Field(
        100,
        ge=0,
        le=10_000,
        description="Number of first steps that count as 'at once', if more than those epochs: two epochs of a small dataset are too few to learn from.",
    )
    allow: list[str] = Field(
        [],
        description="Codes of leak probes whose alarm does not block this run, such as leak.too_good. The model card lists them.",
    )

    @field_validator("allow")
    @classmethod
    def _known_codes(cls, codes: list[str]) -> list[str]:
        refuse_unknown(codes)
        return sorted(set(codes))


class ClassWeights(Section):
    """Weights of the two classes in the loss."""

    clean: float = Field(0.5, gt=0, le=100, description="Design default 0.5: weight of a clean patch in the loss.")
    defective: float = Field(
        2.0, gt=0, le=100, description="Design default 2.0: weight of a defective patch in the loss."
    )


class ModelConfig(Section):
    """Architecture and initial weights."""

    name: str = Field(
        "steel-defects",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Name of the model in the registry: lower-case letters, digits, '.', '_' and '-'.",
    )
    backbone: Backbone = Field(
        "EfficientNetB0", description="Design default EfficientNetB0; ResNet50 is the alternative."
    )
    weights: str = Field(
        "auto",
        min_length=1,
        description="Initial weights of the backbone: auto (imagenet if available, else steel), imagenet, steel, none (random), or the path or s3:// URI of a weights file.",
    )
    head_units: int = Field(256, ge=8, le=4096, description="Units of the dense layer in the head.")
    dropout: float = Field(0.3, ge=0.0, lt=1.0, description="Dropout rate before the output layer.")
    flips: bool = Field(
        False,
        description="Test-time augmentation: the score is the mean over the patch and its mirror images. More accurate, at four times the cost.",
    )


class HeadConfig(Section):
    """Training of the head on the frozen backbone."""

    epochs: int = Field(20, ge=1, le=1000, description="Design default 20: maximum epochs, with early stopping.")
    learning_rate: Rate = Field(1e-4, description="Design default 1e-4: learning rate while the backbone is frozen.")


class FineTuneConfig(Section):
    """Training of the top layers of the backbone."""

    epochs: int = Field(
        20, ge=0, le=1000, description="Design default 20: maximum epochs, with early stopping; 0 skips fine-tuning."
    )
    learning_rate: Rate = Field(1e-5, description="Design default 1e-5: learning rate while fine-tuning.")
    from_layer: str = Field(
        "auto",
        description="Layers after this one are fine-tuned; auto is block5c_add (EfficientNetB0) or conv3_block4_out (ResNet50).",
    )


class TrainingConfig(Section):
    """Optimisation of head and backbone."""

    batch_size: int = Field(32, ge=1, le=4096, description="Design default 32: patches per step.")
    loss: Loss = Field(
        "binary_crossentropy",
        description="Design default binary_crossentropy with class weights; focal is the alternative.",
    )
    class_weights: ClassWeights = ClassWeights()
    focal_gamma: float = Field(
        2.0, ge=0.0, le=10.0, description="Focusing parameter of the focal loss (Lin et al. 2017)."
    )
    views: int = Field(
        4,
        ge=1,
        le=8,
        description="Augmentations per patch, the first n of: original, left-right flip, up-down flip, half turn, darker, brighter, lower contrast, higher contrast. None can hide a defect.",
    )
    average_weights: bool = Field(
        True, description="Validate and keep a running mean of the weights over about one epoch, which reduces noise."
    )
    patience: int = Field(
        5, ge=1, le=100, description="Design default 5: epochs without a better val_recall before training stops."
    )
    head: HeadConfig = HeadConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()


class ThresholdConfig(Section):
    """Choice of the operating threshold on the validation split."""

    margin: float = Field(
        1.0,
        ge=0.0,
        le=3.0,
        description="Margin for sampling error: standard errors by which validation recall and precision must exceed their targets.",
    )
    review: bool = Field(
        False, description="Also choose a review band: scores around the threshold that a person reviews."
    )
    review_recall: Share = Field(
        0.99,
        description="Minimum recall if patches below the review band pass without review, with the margin; used with threshold.review.",
    )
    review_precision: Share = Field(
        0.95,
        description="Minimum precision among patches above the review band, which are rejected without review, with the margin; used with threshold.review.",
    )


class SlicesConfig(Section):
    """Slices of the test split that are evaluated separately."""

    columns: list[str] = Field(
        [], description="Manifest columns to slice by; empty: every metadata column with 2 to 20 values."
    )
    min_defects: int = Field(
        20, ge=1, description="Minimum number of defects in the test split for a slice to be judged."
    )


class GateConfig(Section):
    """Targets on the test split that a model must meet to be published. Accuracy is ignored."""

    recall: Share | None = Field(
        0.95, description="Design default 0.95: minimum recall, the share of defects that are found."
    )
    f2: Share | None = Field(
        0.85, description="Design default 0.85: minimum F2 score, which weighs recall four times as much as precision."
    )
    precision: Share | None = Field(
        0.70, description="Design default 0.70: minimum precision, the share of predicted defects that are defects."
    )
    auc: Share | None = Field(0.90, description="Design default 0.90: minimum area under the ROC curve.")
    slice_recall: Share | None = Field(
        None, description="Minimum recall of every slice with enough defects; empty: slices are only reported."
    )
    evidence: Evidence = Field(
        "point", description="What is compared with the targets: the point estimate, or its one-sided confidence bound."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence level of the one-sided bounds.")
    resamples: int = Field(1000, ge=100, le=20000, description="Bootstrap resamples, by group, for every bound.")
    champion_tolerance: Share = Field(
        0.005, description="Largest drop of recall or F2 below the champion's on the same patches."
    )


class PublishConfig(Section):
    """Publication and promotion."""

    promote: bool = Field(True, description="Make the published version the champion.")
    require_approval: bool = Field(
        False, description="Wait for a person to release or refuse a model that meets its targets."
    )
    approvers: list[str] = Field(
        [],
        description="Only these may release a model: user ids of Airflow's auth manager, or names given to --by. Empty: everyone "
        "who may answer in Airflow. Requires publish.require_approval.",
    )
    four_eyes: bool = Field(
        False, description="Two different people must release a model. Requires publish.require_approval."
    )
    force: bool = Field(
        False, description="Train even if data, configuration and code are unchanged since the last verdict."
    )

    @model_validator(mode="after")
    def _someone_can_release(self) -> PublishConfig:
        if not self.require_approval and (self.approvers or self.four_eyes):
            raise ValueError("approvers and four_eyes have no effect without publish.require_approval: set it to true")
        if any(not name.strip() for name in self.approvers):
            raise ValueError("publish.approvers holds an empty name")
        if self.four_eyes and len(set(self.approvers)) == 1:
            raise ValueError(f"publish.four_eyes needs two people; publish.approvers names only {self.approvers[0]}")
        return self


class Config(Section):
    """The whole configuration of a run.

    Example:
        >>> config = load_config(overrides=["training.head.epochs=5"])
        >>> config.training.head.epochs, config.gate.recall
        (5, 0.95)
    """

    data: DataConfig = DataConfig()
    validation: ValidationConfig = ValidationConfig()
    baseline: BaselineConfig = BaselineConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    threshold: ThresholdConfig = ThresholdConfig()
    slices: SlicesConfig = SlicesConfig()
    gate: GateConfig = GateConfig()
    publish: PublishConfig = PublishConfig()

    @model_validator(mode="after")
    def _enough_groups_left_to_train(self) -> Config:
        if self.data.val_share + self.data.test_share > 0.6:
            raise ValueError("data.val_share + data.test_share must leave at least 0.4 for training")
        if self.validation.min_brightness >= self.validation.max_brightness:
            raise ValueError("validation.min_brightness must be below validation.max_brightness")
        return self

    def value(self, key: str) -> Any:
        """Return a setting by its dotted key, as JSON would hold it."""
        found: Any = self.model_dump(mode="json")
        for name in key.split("."):
            found = found[name]
        return found

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that can change the model or its verdict (not of `publish`)."""
        relevant = self.model_dump(mode="json", exclude={"publish"})
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def load_config(
    path: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] | Mapping[str, object] = (),
) -> Config:
    """Read a configuration: defaults, then the YAML file, then the overrides.

    Args:
        path: YAML file with the sections of `Config`; `None` for the defaults.
        overrides: `["training.head.epochs=5"]`, values in YAML notation, or `{"training.head.epochs": 5}`.

    Raises:
        ConfigError: the file is missing or not a mapping, a key is unknown, or a value is out of range.
    """
    values = _read_yaml(Path(path)) if path is not None else {}
    for key, value in _parse_overrides(overrides):
        _put(values, key, value)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, source=str(path) if path is not None else "--set")) from None


def as_yaml(value: object) -> str:
    """Return the value of a setting in YAML, such that `--set key=VALUE` reads the same value back.

    Args:
        value: as JSON holds it: text, number, true or false, `None`, or a list of texts.

    Example:
        >>> as_yaml("steel"), as_yaml("1e-4"), as_yaml(["line"]), as_yaml(None)
        ('steel', '"1e-4"', '["line"]', 'null')
    """
    if isinstance(value, str):
        return json.dumps(value) if _reads_as_number(value) else _one_line(yaml.safe_dump(value, width=_NO_WRAP))
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return _one_line(yaml.safe_dump(value, default_flow_style=True, default_style='"', width=_NO_WRAP))
    return json.dumps(value, ensure_ascii=False)


_NO_WRAP = 10**9


def _one_line(document: str) -> str:
    return document.removesuffix("\n").removesuffix("\n...")


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def settings() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every setting as (dotted key, JSON Schema with default and description), in order.

    The trigger form in Airflow and `docs/settings.md` are generated from it.
    """
    yield from _settings_of(Config, "")


def _settings_of(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    properties = section.model_json_schema()["properties"]
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings_of(field.annotation, f"{prefix}{name}.")
        else:
            schema = dict(properties[name])
            schema.pop("title", None)
            yield f"{prefix}{name}", schema


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The configuration file {path} cannot be read ({error.strerror}). Name one that exists: --config FILE."
        ) from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The configuration file {path} is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"The configuration file {path} contains a {type(values).__name__}; expected sections such as 'training:'."
        )
    return values


def _parse_overrides(overrides: Sequence[str] | Mapping[str, object]) -> Iterator[tuple[str, object]]:
    if isinstance(overrides, Mapping):
        yield from overrides.items()
        return
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"--set {text!r} has no value; expected --set key=value, such as --set training.head.epochs=5."
            )
        try:
            yield key.strip(), _scalar(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text!r}: the value is not valid YAML: {error}") from None


def _scalar(text: str) -> object:
    value = yaml.safe_load(text)
    if isinstance(value, str) and not text.lstrip().startswith(("'", '"')):
        # YAML 1.1 reads 1e-4 (no dot) as a string, but learning rates are written so. Quoted values stay strings.
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _put(values: dict[str, object], dotted: str, value: object) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"'{dotted}' is not a setting: '{section}' is a value, not a section.")
        values = inner
    values[name] = value


def _explain(error: ValidationError, *, source: str) -> str:
    known = [key for key, _ in settings()]
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"'{key}' is not a setting.{_nearest(key, known)}")
        elif not key:
            lines.append(str(problem["msg"]).removeprefix("Value error, "))
        else:
            lines.append(f"'{key}' is {problem['input']!r}: {_lower_first(problem['msg'])}.")
    return f"The configuration ({source}) is invalid:\n  " + "\n  ".join(lines)


def _nearest(key: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=3, cutoff=0.5) or [k for k in known if k.endswith(f".{key}")]
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"{hint} All settings: steel-training settings"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
