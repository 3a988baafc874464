"""Every number that a user may change, typed, with its range, its default, and why it is what it is.

The YAML file, `--set key=value` on the command line and the params form in Airflow share the dotted keys of this
model (`training.head.epochs`), because all three are derived from it. Defaults marked LOCKED come from the modelling
design that the project implements; changing one is a decision of the mill, not of a refactoring.
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
    """A group of settings: unknown keys are refused, values are frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """How patches are cut into parts and brought to the network."""

    input_size: int = Field(
        128, ge=32, le=512, description="Side in pixels to which every patch is resized for the backbone."
    )
    seed: int = Field(20, ge=0, le=2**31 - 1, description="Seed of the split; training is seeded with it too.")
    val_share: float = Field(
        0.2, ge=0.05, le=0.4, description="Share of the groups that chooses checkpoint and threshold."
    )
    test_share: float = Field(0.2, ge=0.05, le=0.4, description="Share of the groups that judges the model, read once.")
    prevalence: Rate | None = Field(
        None,
        lt=1.0,
        description="Share of defective patches on the line, where the dataset holds more: precision is told for it too.",
    )


class ValidationConfig(Section):
    """What Great Expectations holds a dataset to before anything is trained."""

    min_patches: int = Field(200, ge=1, description="Fewer patches than this block the run.")
    min_class_share: Share = Field(0.01, description="The rarer class must reach this share of the patches.")
    min_per_class_and_split: int = Field(5, ge=1, description="Patches of each class that every split must hold.")
    min_brightness: float = Field(4.0, ge=0, le=255, description="Mean grey value below which a patch is too dark.")
    max_brightness: float = Field(251.0, ge=0, le=255, description="Mean grey value above which a patch is blown out.")
    min_contrast: float = Field(
        1.0, ge=0, le=128, description="Standard deviation of grey below which a patch is blank."
    )
    max_odd_share: Share = Field(
        0.02,
        description="Share of dark, blown-out or blank patches above which the run is blocked; below it they are warned of.",
    )
    max_imbalance: float = Field(
        20.0, ge=1, description="Majority to minority ratio above which class imbalance is warned of."
    )
    max_drift: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Population stability index against the champion's dataset above which the run is blocked; empty: drift only warns.",
    )


class BaselineConfig(Section):
    """The small CNN that shows whether the dataset can be learned honestly."""

    input_size: int = Field(
        64, ge=32, le=256, description="Side in pixels to which patches are resized for the baseline."
    )
    epochs: int = Field(6, ge=1, le=1000, description="Epochs of the baseline CNN.")
    min_steps: int = Field(
        400,
        ge=0,
        le=100_000,
        description="A small dataset gets more epochs, up to this many steps: what was hardly trained looks collapsed.",
    )
    learning_rate: Rate = Field(1e-3, description="Learning rate of the baseline CNN (Adam).")
    batch_size: int = Field(32, ge=1, le=1024, description="Batch size of the baseline CNN.")
    too_good: Share = Field(
        0.99, description="LOCKED: a baseline that reaches this AUC or balanced accuracy at once means leakage."
    )
    too_good_epochs: int = Field(2, ge=1, le=10, description="What 'at once' means, in epochs.")
    too_good_steps: int = Field(
        100,
        ge=0,
        le=10_000,
        description="Or in steps, where those are more: two epochs of a small dataset teach nothing.",
    )
    allow: list[str] = Field(
        [],
        description="Alarms of leak probes that do not block this run, by name, such as leak.too_good. They stand in the model card.",
    )

    @field_validator("allow")
    @classmethod
    def _only_what_may_be_allowed(cls, codes: list[str]) -> list[str]:
        refuse_unknown(codes)
        return sorted(set(codes))


class ClassWeights(Section):
    """Weights of the two classes in the loss."""

    clean: float = Field(0.5, gt=0, le=100, description="LOCKED 0.5: weight of a clean patch in the loss.")
    defective: float = Field(2.0, gt=0, le=100, description="LOCKED 2.0: weight of a defective patch in the loss.")


class ModelConfig(Section):
    """Which network, and where its first weights come from."""

    name: str = Field(
        "steel-defects",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Name in the registry: lower-case letters, digits, '.', '_' and '-'.",
    )
    backbone: Backbone = Field(
        "EfficientNetB0", description="LOCKED: EfficientNetB0 first, ResNet50 as the alternative."
    )
    weights: str = Field(
        "auto",
        min_length=1,
        description="auto (imagenet where it can be had, else steel), imagenet, steel, none, or the path or s3:// URI of a weights file.",
    )
    head_units: int = Field(256, ge=8, le=4096, description="Units of the dense layer of the head.")
    dropout: float = Field(0.3, ge=0.0, lt=1.0, description="Dropout before the score.")
    flips: bool = Field(
        False,
        description="Score a patch as the mean over itself and its mirror images: better, at four times the cost.",
    )


class HeadConfig(Section):
    """Training of the head on the frozen backbone."""

    epochs: int = Field(20, ge=1, le=1000, description="LOCKED 20, with early stopping.")
    learning_rate: Rate = Field(1e-4, description="LOCKED 1e-4: learning rate while the backbone is frozen.")


class FineTuneConfig(Section):
    """Training of the top layers of the backbone."""

    epochs: int = Field(20, ge=0, le=1000, description="LOCKED 20, with early stopping; 0 leaves the backbone frozen.")
    learning_rate: Rate = Field(1e-5, description="LOCKED 1e-5: learning rate while fine-tuning.")
    from_layer: str = Field(
        "auto",
        description="Layers after this one are trained; auto is block5c_add (EfficientNetB0) or conv3_block4_out (ResNet50).",
    )


class TrainingConfig(Section):
    """How the network learns."""

    batch_size: int = Field(32, ge=1, le=4096, description="LOCKED 32: patches a step.")
    loss: Loss = Field(
        "binary_crossentropy", description="LOCKED: binary_crossentropy with class weights, focal as the alternative."
    )
    class_weights: ClassWeights = ClassWeights()
    focal_gamma: float = Field(2.0, ge=0.0, le=10.0, description="Focusing of the focal loss (Lin et al. 2017).")
    views: int = Field(
        4,
        ge=1,
        le=8,
        description="Views of a patch: itself, both flips, both together, darker, brighter, softer, harder. None hides one.",
    )
    average_weights: bool = Field(
        True, description="Validate and keep the running mean of the weights over about one epoch: less noise."
    )
    patience: int = Field(5, ge=1, le=100, description="LOCKED 5: epochs without a better val_recall before stopping.")
    head: HeadConfig = HeadConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()


class ThresholdConfig(Section):
    """How the operating threshold is chosen on validation."""

    margin: float = Field(
        1.0,
        ge=0.0,
        le=3.0,
        description="Standard errors by which validation recall and precision must exceed their targets, so that they hold on other patches too.",
    )
    review: bool = Field(
        False, description="Choose a band of scores around the threshold for a person to look at: pass, review, reject."
    )
    review_recall: Share = Field(
        0.99,
        description="Recall that passing without a look must leave, with the margin; of use with threshold.review.",
    )
    review_precision: Share = Field(
        0.95, description="Share of defects among what is rejected without a look, with the margin; as above."
    )


class SlicesConfig(Section):
    """Which parts of the test part are looked at on their own."""

    columns: list[str] = Field(
        [], description="Columns of the manifest to slice by; none named: every metadata column of 2 to 20 values."
    )
    min_defects: int = Field(20, ge=1, description="Defects that a slice must hold in the test part to be judged.")


class GateConfig(Section):
    """What a model must reach on the test part to be published. Accuracy is ignored."""

    recall: Share | None = Field(0.95, description="LOCKED 0.95: share of the defects that are found.")
    f2: Share | None = Field(0.85, description="LOCKED 0.85: F-score that weighs recall four times precision.")
    precision: Share | None = Field(0.70, description="LOCKED 0.70: share of the alarms that are defects.")
    auc: Share | None = Field(0.90, description="LOCKED 0.90: area under the ROC curve.")
    slice_recall: Share | None = Field(
        None, description="Recall that every slice of enough defects must reach as well; none: slices are only shown."
    )
    evidence: Evidence = Field("point", description="Judge the estimate itself, or its one-sided bound.")
    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence of the one-sided bounds.")
    resamples: int = Field(1000, ge=100, le=20000, description="Resamples by group behind every bound.")
    champion_tolerance: Share = Field(
        0.005, description="By how much recall or F2 may fall below the champion's on the same patches."
    )


class PublishConfig(Section):
    """What happens after the gate."""

    promote: bool = Field(True, description="Move the champion pointer to the published version.")
    require_approval: bool = Field(
        False, description="A model that meets its targets waits for a person, who releases or refuses it."
    )
    force: bool = Field(False, description="Train again even when neither data, configuration nor code has changed.")


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
    def _parts_leave_a_majority_to_train_on(self) -> Config:
        if self.data.val_share + self.data.test_share > 0.6:
            raise ValueError("data.val_share + data.test_share must leave at least 0.4 for training")
        if self.validation.min_brightness >= self.validation.max_brightness:
            raise ValueError("validation.min_brightness must be below validation.max_brightness")
        return self

    def value(self, key: str) -> Any:
        """Returns a setting by its dotted key, as JSON would hold it."""
        found: Any = self.model_dump(mode="json")
        for name in key.split("."):
            found = found[name]
        return found

    def fingerprint(self) -> str:
        """SHA-256 of everything that can change the model or its verdict (not of `publish`)."""
        relevant = self.model_dump(mode="json", exclude={"publish"})
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def load_config(
    path: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] | Mapping[str, Any] = (),
) -> Config:
    """Reads a configuration: defaults, then the YAML file, then the overrides.

    Args:
        path: YAML file with the sections of `Config`; `None` for the defaults.
        overrides: `["training.head.epochs=5"]`, values in YAML notation, or `{"training.head.epochs": 5}`.

    Raises:
        ConfigError: the file is missing or no mapping, a key is unknown, or a value is out of its range.
    """
    values = _read_yaml(Path(path)) if path is not None else {}
    for key, value in _parse_overrides(overrides):
        _put(values, key, value)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, source=str(path) if path is not None else "--set")) from None


def as_yaml(value: Any) -> str:
    """Returns the value of a setting in YAML, such that `--set key=VALUE` reads the same value back.

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
    """Yields every setting as (dotted key, JSON Schema with default and description), in order.

    The Airflow params form and the configuration table of the documentation are made from it.
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
        raise ConfigError(f"The configuration file {path} is no valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"The configuration file {path} holds a {type(values).__name__}; expected sections such as 'training:'."
        )
    return values


def _parse_overrides(overrides: Sequence[str] | Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
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
            raise ConfigError(f"--set {text!r}: the value is no valid YAML: {error}") from None


def _scalar(text: str) -> Any:
    value = yaml.safe_load(text)
    if isinstance(value, str) and not text.lstrip().startswith(("'", '"')):
        # YAML 1.1 reads 1e-4 (no dot) as a string; people write rates so. What is quoted is meant as a string.
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"'{dotted}' is no known setting: '{section}' holds a value, not a section.")
        values = inner
    values[name] = value


def _explain(error: ValidationError, *, source: str) -> str:
    known = [key for key, _ in settings()]
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"'{key}' is no known setting.{_nearest(key, known)}")
        elif not key:
            lines.append(str(problem["msg"]).removeprefix("Value error, "))
        else:
            lines.append(f"'{key}' is {problem['input']!r}: {_lower_first(problem['msg'])}.")
    return f"The configuration ({source}) is refused:\n  " + "\n  ".join(lines)


def _nearest(key: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=3, cutoff=0.5) or [k for k in known if k.endswith(f".{key}")]
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"{hint} All settings: steel-training settings"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
