"""The registry as text for the terminal. Pure: from records to lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from steel_training.registry.record import Unreadable
from steel_training.registry.stored import Decision, GateRecord, StoredEstimate

SHOWN = {"recall": "recall", "precision": "precision", "f2": "F2", "auc": "AUC"}
_NONE = "–"


def listing(
    decisions: Sequence[Decision],
    versions: Sequence[str],
    champion: str | None,
    *,
    unreadable: Sequence[Unreadable] = (),
    problem: str | None = None,
) -> str:
    """Return one line per verdict, newest last, and one for each version or record whose verdict is unknown.

    Args:
        decisions: as `Registry.decisions` returns them, oldest first.
        versions: the versions of the registry; a published version that is missing here was pruned.
        champion: the version to mark.
        unreadable: records that cannot be read.
        problem: why the champion is unknown.
    """
    rows = [("", "version", "verdict", *SHOWN.values(), "day", "dataset", "run")]
    for decision in decisions:
        version = decision.get("version")
        verdict = str(decision["verdict"]) + (" !" if decision.get("allowed") else "")
        rows.append(
            (
                "*" if champion is not None and version == champion else "",
                version or _NONE,
                f"{verdict}, pruned"
                if version and decision["verdict"] == "published" and version not in versions
                else verdict,
                *(_number(_value(decision.get("metrics", {}), name)) for name in SHOWN),
                str(decision["decided_at"])[:10],
                _dataset(decision),
                str(decision["run_id"]),
            )
        )
    decided = {decision.get("version") for decision in decisions}
    replacing = {
        version: decision["run_id"] for decision in decisions for version in map(str, decision.get("replaced", ()))
    }
    for version in versions:
        if version not in decided:
            mark = "*" if version == champion else ""
            state = "replaced" if version in replacing else "no record"
            rows.append((mark, version, state, *[_NONE] * (len(SHOWN) + 2), replacing.get(version, _NONE)))
    text = _aligned(rows) if len(rows) > 1 else "no verdicts yet"
    if any(decision.get("allowed") for decision in decisions):
        text += "\n! an alarm of the baseline check was allowed by name; for its code: models show VERSION"
    text += "".join(f"\nunreadable: {each.key} ({each.why})" for each in unreadable)
    return f"{text}\nchampion: {f'unknown. {problem}' if problem else champion or 'none yet'}"


def summary(version: str, known: GateRecord, champion: str | None) -> str:
    """Return a version's `gate.json` in a few lines."""
    metrics = known.get("metrics", {})
    rows = [("metric", "test", "bound")]
    rows += [
        (SHOWN.get(name, name), _number(_value(metrics, name)), _number(_bound(metrics, name))) for name in metrics
    ]
    counts, test = known.get("counts"), known.get("parts", {}).get("test")
    lines = [f"{version}{'  (champion)' if version == champion else ''}"]
    lines += list(_facts(known))
    if test:
        lines.append(
            f"judged on    {test['clean'] + test['defective']:,} patches ({test['defective']:,} defective) of "
            f"{test['groups']:,} groups, none of them used in training"
        )
    if counts:
        lines.append(
            f"             {counts['fn']} of {counts['tp'] + counts['fn']} defects missed, {counts['fp']} false alarms"
        )
    if threshold := known.get("threshold"):
        lines.append(f"threshold    {_number(threshold.get('value'))}")
    if metrics:
        lines += ["", _aligned(rows)]
    for reason in known.get("reasons", ()):
        lines.append(f"{reason['code']}: {reason['message']}")
    if known.get("reproduce"):
        lines += ["", "reproduce with:", f"  {known['reproduce']}"]
    return "\n".join(lines)


def comparison(a: str, first: GateRecord, b: str, second: GateRecord) -> str:
    """Return two versions' metrics side by side, what each was judged on, and a warning where that differs."""
    text = _aligned([("", a, b, "difference"), *compared(first, second)])
    warning = incomparable(first, second)
    return f"{text}\nWarning: {warning}" if warning else text


def compared(first: GateRecord, second: GateRecord) -> list[tuple[str, str, str, str]]:
    """Return rows of name, first, second and difference: the metrics, then what they were measured on."""
    rows = []
    ours, theirs = first.get("metrics", {}), second.get("metrics", {})
    for name in dict.fromkeys((*(name for name in SHOWN if name in {**ours, **theirs}), *ours, *theirs)):
        x, y = _value(ours, name), _value(theirs, name)
        between = f"{y - x:+.4f}" if x is not None and y is not None else _NONE
        rows.append((SHOWN.get(name, name.replace("_", " ")), _number(x), _number(y), between))
    for title, read in _SIDES.items():
        left, right = read(first), read(second)
        rows.append((title, left, right, "" if left == right else "differs"))
    return rows


def incomparable(first: GateRecord, second: GateRecord) -> str | None:
    """Return why the metrics of two versions may not be comparable; `None` where both were judged on the same patches."""
    if not first.get("test_part") or not second.get("test_part"):
        return (
            "it is not recorded whether both were judged on the same test patches; the metrics may not be comparable."
        )
    if first["test_part"] != second["test_part"]:
        return (
            "the test splits differ, so the metrics are not comparable. For a fair comparison train both on one dataset "
            "version, or see how the newer run compared with the champion at that time, on its own test split."
        )
    return None


_SIDES: dict[str, Callable[[GateRecord], str]] = {
    "threshold": lambda known: _number((known.get("threshold") or {}).get("value")),
    "dataset": lambda known: str(known.get("dataset", _NONE)),
    "fingerprint": lambda known: str(known.get("fingerprint", _NONE))[:16],
    "split seed": lambda known: str(known.get("split_seed", _NONE)),
    "test patches": lambda known: _sizes(known.get("parts", {}).get("test")),
    "backbone": lambda known: str(known.get("config", {}).get("model", {}).get("backbone", _NONE)),
    "configuration": lambda known: str(known.get("configuration", _NONE))[:16],
    "code": lambda known: str(known.get("code", _NONE)),
}


def _facts(known: GateRecord) -> Iterator[str]:
    machine, packages = known.get("machine") or {}, known.get("packages") or {}
    made = [
        *(f"{name} {packages[name]}" for name in ("tensorflow", "keras") if name in packages),
        *(
            [f"Python {machine.get('python')}, {machine.get('cores')} cores, {machine.get('platform')}"]
            if machine
            else []
        ),
    ]
    for title, value in (
        ("judged", str(known.get("judged_at", ""))[:19].replace("T", " ")),
        ("run", known.get("run_id")),
        ("dataset", known.get("dataset")),
        ("fingerprint", str(known.get("fingerprint", ""))[:16]),
        ("weights", (known.get("weights") or {}).get("detail")),
        ("code", known.get("code")),
        ("made with", ", ".join(made)),
        ("champion", f"{known['parent_champion']} (compared with this one)" if known.get("parent_champion") else None),
        ("released by", (known.get("approval") or {}).get("by")),
    ):
        if value:
            yield f"{title:<12} {value}"


def _dataset(decision: Decision) -> str:
    dated = decision.get("dataset_version")
    return str(dated or str(decision.get("dataset") or _NONE).rstrip("/").rsplit("/", 1)[-1])


def _value(metrics: Mapping[str, StoredEstimate | None], name: str) -> float | None:
    return _of(metrics, name, "value")


def _bound(metrics: Mapping[str, StoredEstimate | None], name: str) -> float | None:
    return _of(metrics, name, "bound")


def _of(metrics: Mapping[str, StoredEstimate | None], name: str, field: str) -> float | None:
    estimate = metrics.get(name)
    found = estimate.get(field) if isinstance(estimate, Mapping) else None
    return found if isinstance(found, int | float) else None


def _sizes(split: Mapping[str, int] | None) -> str:
    return f"{split['clean']} clean, {split['defective']} defective" if split else _NONE


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
