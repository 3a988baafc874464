"""The model card: what a user of the bundle needs to know before using it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from steel_training.bundle.layout import LITE, TOLERANCE
from steel_training.config import JUDGED
from steel_training.evaluation.corrected_labels import CorrectedLabels
from steel_training.evaluation.label_difference import LabelDifference
from steel_training.leakage.probe import StoredProbe
from steel_training.registry.stored import GateRecord

_TITLES = {
    "recall": "recall",
    "f2": "F2",
    "precision": "precision",
    "auc": "AUC",
    "average_precision": "average precision",
    "specificity": "specificity",
    "false_alarms_per_1000": "false alarms per 1,000 clean patches",
}


class CardContent(GateRecord):
    """`gate.json` as a run writes it.

    Attributes:
        probes: what each probe of the baseline check found.
        verification: of the exported model, see `verify`.
    """

    probes: Sequence[StoredProbe]
    verification: Mapping[str, Any]


def model_card(content: CardContent, judged: Mapping[str, Any]) -> str:
    """Return the model card as Markdown.

    Args:
        content: of `gate.json`.
        judged: outputs of the stage `evaluate`.
    """
    config = content["config"]
    name, size = config["model"]["name"], config["data"]["input_size"]
    parts = [
        f"# {name} {content['version']}\n\n"
        f"Classifies steel surface patches as clean (0) or defective (1). {config['model']['backbone']} on {size} × {size} pixels, "
        f"initial weights: {(content['weights'] or {})['detail']}. Trained by run `{content['run_id']}` on `{content['dataset']}` "
        f"(fingerprint `{content['fingerprint'][:16]}`).",
        *_alarms(content),
        _metrics(judged),
        *_labels(judged),
        _threshold(judged["threshold"]),
        _verification(content["verification"]),
        _usage(name, size) + _images(content),
        _limits(),
        _origin(content),
    ]
    return "\n\n".join(parts) + "\n"


def _alarms(content: CardContent) -> list[str]:
    """Alarms of the baseline check that were allowed by name or downgraded to warnings; shown before the metrics."""
    probes = content.get("probes", ())
    allowed = [each for each in probes if each.get("allowed")]
    downgraded = [
        each for each in probes if each["code"] == "leak.too_good" and not each["passed"] and not each.get("allowed")
    ]
    if not allowed and not downgraded:
        return []
    rows = [
        f"| `{each['code']}` | {_state(each)} | {_number(each['statistic'])} | {_number(each['threshold'])} |"
        for each in probes
    ]
    return [
        "## Alarms of the baseline check\n\n"
        "The metrics below may overestimate this model.\n\n"
        + "\n".join(f"- **`{each['code']}`, {_state(each)}.** {each['message']}" for each in [*allowed, *downgraded])
        + "\n\n| probe | | value | limit |\n|---|---|---|---|\n"
        + "\n".join(rows)
    ]


def _state(probe: StoredProbe) -> str:
    if probe["passed"]:
        return "passed"
    if probe.get("allowed"):
        return "ALARM, allowed by name"
    return "warning" if probe.get("judged", True) else "not judged"


def _metrics(judged: Mapping[str, Any]) -> str:
    counts, targets = judged["counts"], judged["targets"]
    rows = []
    for name, measured in judged["metrics"].items():
        if measured["value"] is not None:
            bound = measured["bound"]
            rows.append(
                f"| {_TITLES.get(name, name)} | {_number(measured['value'])} | {_number(bound)} | "
                f"{_number(targets.get(name))} |"
            )
    return (
        "## Metrics\n\n"
        f"On {judged['patches']:,} test patches of {judged['groups']:,} groups that were not used in training, it missed "
        f"{counts['fn']:,} of {judged['defects']:,} defects and raised {counts['fp']:,} false alarms on "
        f"{judged['patches'] - judged['defects']:,} clean patches. Bounds are one-sided confidence bounds, towards the worse value, resampled by group.\n\n"
        "| metric | test split | bound | target |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + _against_baseline(judged.get("baseline") or {})
    )


def _labels(judged: Mapping[str, Any]) -> list[str]:
    """What was corrected in the test split, and how many labels differ from the champion's; nothing where neither is known."""
    corrected, unlike = judged.get("corrected_labels"), judged.get("labels_unlike_champion")
    said = _by_both(CorrectedLabels.from_dict(corrected)) if corrected else []
    if unlike:
        said.append(LabelDifference.from_dict(unlike).sentence)
    return ["\n\n".join(["## Labels", *said])] if said else []


def _by_both(found: CorrectedLabels) -> list[str]:
    """The metrics by the labels of the test split before and after their correction."""
    if found.before is None or found.after is None:
        return [found.sentence]
    one, other = found.before, found.after
    rows = [
        *((_TITLES[name], _number(one.metrics[name]), _number(other.metrics[name])) for name in JUDGED),
        ("missed defects", one.missed, other.missed),
        ("false alarms", one.false_alarms, other.false_alarms),
    ]
    lines = ["| | labels before | corrected labels |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return [found.sentence, "\n".join(lines)]


def _against_baseline(baseline: Mapping[str, Any]) -> str:
    found = baseline.get("on_validation")
    if not found:
        return ""
    return (
        f"\n\nThe baseline CNN, trained from scratch, reaches an AUC of {_number(found['theirs'])} on validation, this model "
        f"{_number(found['ours'])}; difference {_number(found['value'])}, {found['confidence']:.0%} interval "
        f"{_number(found['low'])} to {_number(found['high'])}."
    )


def _threshold(threshold: Mapping[str, Any]) -> str:
    return (
        "## Threshold\n\n"
        f"A patch is predicted defective at a score of {threshold['value']:.4f} or more. Chosen on validation only: {threshold['note']}. "
        f"Recall on validation {_number(threshold['val_recall'])}, precision {_number(threshold['val_precision'])}."
    )


def _verification(verified: Mapping[str, Any]) -> str:
    latency = verified["latency_ms"]
    lines = [
        "## Verification before publication\n",
        f"- In a clean process the scores of {verified['golden']} golden images differed from the trained model's by at most "
        f"{verified['max_difference']:.1e} (allowed: {verified.get('tolerance', TOLERANCE):g}); the labels were the same.",
        f"- A corrupt image is {verified['corrupt_image']}; one of another size is {verified['odd_size_image']}.",
        f"- On the machine of the verification: {latency['p50']:.1f} ms per image (median; 95 % within {latency['p95']:.1f} ms), "
        f"{verified['throughput_per_s']:.0f} images/s in batches of 32, {verified['memory_mb']:,.0f} MiB peak memory.",
    ]
    for name, lite in verified["lite"].items():
        if lite["included"]:
            lines.append(
                f"- `{LITE[name]}` ({lite['bytes'] / 1e6:.1f} MB, quantisation: {lite.get('quantisation')}): recall on validation drops "
                f"by {100 * lite['recall_drop']:.1f} points; {lite['latency_ms']['p50']:.1f} ms per image (median)."
            )
            if lite["reason"]:
                lines.append(f"  Rejected before it: {lite['reason']}.")
        else:
            lines.append(f"- `{LITE[name]}` is left out: {lite['reason']}.")
    return "\n".join(lines)


def _usage(name: str, size: int) -> str:
    return f"""## Usage

```python
import tensorflow as tf
serve = tf.saved_model.load("saved_model").signatures["serving_default"]
print(serve(image_bytes=tf.constant([open("patch.png", "rb").read()])))  # score, label, threshold, version
```

TensorFlow Serving: `tensorflow_model_server --rest_api_port=8501 --model_name={name} --model_base_path=/models/{name}`, with
`saved_model` mounted as `/models/{name}/1`; POST `{{"instances": [{{"image_bytes": {{"b64": "…"}}}}]}}` to
`/v1/models/{name}:predict`.

A LiteRT file takes pixels 0-255 as float32 (1, {size}, {size}, 3), resized bilinearly with antialiasing, and gives the score;
the threshold is in `threshold.json`."""


def _images(content: CardContent) -> str:
    found = ""
    if patch := content["verification"].get("patch"):
        found += f"\n\nThe SavedModel takes patches of {patch[0]} × {patch[1]} pixels (width × height), and refuses images of another size."
    if grey := content.get("grey_range"):
        found += (
            f"\n\nThe patches come from images of more than 8 bits. The SavedModel takes 8 bits: map grey {grey['low']} to 0 and {grey['high']} to 255, "
            "linearly, rounded, and clipped outside, before you send an image. `steel-training predict` and `serve` do so."
        )
    return found


def _limits() -> str:
    return (
        "## Limitations\n\n"
        "- Not for surfaces, cameras, lighting or magnifications other than those of the dataset: evaluate there first.\n"
        "- The score is not a probability: training weights defective patches more.\n"
        "- Not for whole source images: it classifies patches of the size in the dataset.\n"
        "- Not the only check where a missed defect endangers people."
    )


def _origin(content: CardContent) -> str:
    code = content.get("code")
    lines = [
        "## Origin\n",
        f"- dataset version: {content.get('dataset_version')}; fingerprint `{content['fingerprint']}`",
        f"- configuration: `{content.get('configuration')}` (in full in `gate.json`, with the versions of all packages)",
        f"- code: {code}",
        f"- previous champion: {content.get('parent_champion') or 'none'}",
    ]
    if approval := content.get("approval"):
        lines.append(f"- released by: {approval['by']}")
    if content.get("reproduce"):
        lines.append(f"\nTo reproduce it:\n\n    {content['reproduce']}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4f}"
