"""The model card: what a person who has only the bundle needs to know before using it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steel_training.bundle.layout import LITE, TOLERANCE

_TITLES = {
    "recall": "recall",
    "f2": "F2",
    "precision": "precision",
    "auc": "AUC",
    "average_precision": "average precision",
    "specificity": "specificity",
    "false_alarms_per_1000": "false alarms per 1,000 clean patches",
}


def model_card(content: Mapping[str, Any], judged: Mapping[str, Any]) -> str:
    """Returns the card as Markdown.

    Args:
        content: of `gate.json`.
        judged: outputs of the stage `evaluate`.
    """
    config = content["config"]
    name, size = config["model"]["name"], config["data"]["input_size"]
    parts = [
        f"# {name} {content['version']}\n\n"
        f"Tells clean (0) from defective (1) steel surface patches. {config['model']['backbone']} on {size} × {size} pixels, "
        f"first weights: {content['weights']['detail']}. Trained by run `{content['run_id']}` on `{content['dataset']}` "
        f"(fingerprint `{content['fingerprint'][:16]}`).",
        *_alarms(content),
        _figures(judged),
        _threshold(judged["threshold"]),
        _verification(content["verification"]),
        _usage(name, size),
        _limits(),
        _origin(content),
    ]
    return "\n\n".join(parts) + "\n"


def _alarms(content: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the figures: alarms of the baseline check that somebody allowed, or that were lifted."""
    probes = content.get("probes", ())
    told = [each for each in probes if each.get("allowed")]
    lifted = [
        each for each in probes if each["code"] == "leak.too_good" and not each["passed"] and not each.get("allowed")
    ]
    if not told and not lifted:
        return []
    rows = [
        f"| `{each['code']}` | {_state(each)} | {_number(each['statistic'])} | {_number(each['threshold'])} |"
        for each in probes
    ]
    return [
        "## Alarms of the baseline check\n\n"
        "The figures below may flatter this model.\n\n"
        + "\n".join(f"- **`{each['code']}`, {_state(each)}.** {each['message']}" for each in [*told, *lifted])
        + "\n\n| probe | | found | limit |\n|---|---|---|---|\n"
        + "\n".join(rows)
    ]


def _state(probe: Mapping[str, Any]) -> str:
    if probe["passed"]:
        return "passed"
    if probe.get("allowed"):
        return "ALARM, allowed by name"
    return "warning" if probe.get("judged", True) else "not judged"


def _figures(judged: Mapping[str, Any]) -> str:
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
        "## What it reached\n\n"
        f"On {judged['patches']:,} test patches of {judged['groups']:,} groups that training never saw it missed "
        f"{counts['fn']:,} of {judged['defects']:,} defects and raised {counts['fp']:,} false alarms on "
        f"{judged['patches'] - judged['defects']:,} clean patches. A bound is one-sided, on the bad side, resampled by group.\n\n"
        "| measure | test | bound | target |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + _beside(judged.get("baseline") or {})
    )


def _beside(baseline: Mapping[str, Any]) -> str:
    found = baseline.get("on_validation")
    if not found:
        return ""
    return (
        f"\n\nA small CNN trained from nothing reaches an AUC of {_number(found['theirs'])} on validation, this model "
        f"{_number(found['ours'])}: the difference is {_number(found['value'])}, its {found['confidence']:.0%} interval "
        f"{_number(found['low'])} to {_number(found['high'])}."
    )


def _threshold(threshold: Mapping[str, Any]) -> str:
    return (
        "## Threshold\n\n"
        f"A patch is defective from a score of {threshold['value']:.4f} on. Chosen on validation only: {threshold['note']}. "
        f"Recall there {_number(threshold['val_recall'])}, precision {_number(threshold['val_precision'])}."
    )


def _verification(verified: Mapping[str, Any]) -> str:
    latency = verified["latency_ms"]
    lines = [
        "## Checked before it was published\n",
        f"- In a clean process {verified['golden']} golden images gave the trained model's scores, at most "
        f"{verified['max_difference']:.1e} apart ({verified.get('tolerance', TOLERANCE):g} is allowed), and the same labels.",
        f"- A corrupt image is {verified['corrupt_image']}; one of an odd size is {verified['odd_size_image']}.",
        f"- On the machine that checked it: {latency['p50']:.1f} ms an image (median; 95 % within {latency['p95']:.1f} ms), "
        f"{verified['throughput_per_s']:.0f} images/s in batches of 32, {verified['memory_mb']:,.0f} MiB at most.",
    ]
    for name, lite in verified["lite"].items():
        if lite["included"]:
            lines.append(
                f"- `{LITE[name]}` ({lite['bytes'] / 1e6:.1f} MB, quantisation: {lite.get('quantisation')}): recall on validation drops "
                f"by {100 * lite['recall_drop']:.1f} points; {lite['latency_ms']['p50']:.1f} ms an image (median)."
            )
            if lite["reason"]:
                lines.append(f"  Tried before it: {lite['reason']}.")
        else:
            lines.append(f"- `{LITE[name]}` is left out: {lite['reason']}.")
    return "\n".join(lines)


def _usage(name: str, size: int) -> str:
    return f"""## How to call it

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


def _limits() -> str:
    return (
        "## What it is not for\n\n"
        "- Surfaces, cameras, lamps or magnifications other than those of the dataset: measure there first.\n"
        "- Reading the score as a probability: training weighs defective patches more.\n"
        "- Whole photographs: it judges a patch of the size that the dataset has.\n"
        "- Sole release of steel where a missed defect endangers people."
    )


def _origin(content: Mapping[str, Any]) -> str:
    code = content.get("code")
    lines = [
        "## Where it comes from\n",
        f"- dataset version: {content.get('dataset_version')}; fingerprint `{content['fingerprint']}`",
        f"- configuration: `{content.get('configuration')}` (whole in `gate.json`, as are the versions of all packages)",
        f"- code: {code}",
        f"- champion before it: {content.get('parent_champion') or 'none'}",
    ]
    if approval := content.get("approval"):
        lines.append(f"- released by: {approval['by']}")
    if content.get("reproduce"):
        lines.append(f"\nTo make it again:\n\n    {content['reproduce']}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
