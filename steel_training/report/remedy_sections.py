"""Report sections on the way from a refusal to a release: what would help most, the trade-off, and the learning curve."""

from __future__ import annotations

from steel_training.data.splits import TEST
from steel_training.evaluation.gate import target_or_design
from steel_training.evaluation.learning_curve import LearningCurve
from steel_training.evaluation.trade_off import TradeOff, trade_off
from steel_training.report import charts
from steel_training.report.blocks import Block, Figures, Section, Table, Text
from steel_training.report.formatting import number
from steel_training.report.record import RunRecord
from steel_training.report.remedies import TITLE, Remedy, is_worth_something, remedies_of


def what_would_help(record: RunRecord) -> list[Section]:
    """Remedies of a rejected run, most first, and what the targets cost with the scores as they are."""
    evaluated = record.outputs("evaluate")
    found = remedies_of(record)
    blocks: list[Block] = []
    if found:
        counts = evaluated["counts"]
        rows = [(each.title, _removed(each), each.text) for each in found]
        head = ("", f"Of {counts['fn'] + counts['fp']:,} mistakes, up to", "Found")
        blocks.append(Table("", head, rows, numeric=False))
    if record.scores is not None:
        test = record.scores[record.scores["part"] == TEST]
        recall, precision = (target_or_design(evaluated["targets"].get(name), name) for name in ("recall", "precision"))
        labels, scores = test["label"].to_numpy(int), test["score"].to_numpy(float)
        blocks.append(Text(_traded(trade_off(labels, scores, recall=recall, precision=precision), recall, precision)))
    return [Section("help", TITLE, blocks)] if blocks else []


def learning_curve(curve: LearningCurve | None) -> list[Section]:
    """False alarms and AUC by the number of training groups."""
    if curve is None:
        return []
    rows = [
        (f"{p.groups:,} groups", f"{p.patches:,}", number(p.auc, 3), f"{p.false_alarms_per_1000:,.0f}")
        for p in curve.points
    ]
    head = ("Fitted to", "Patches", "AUC", f"False alarms per 1,000 clean, at recall {curve.recall:g}")
    blocks: list[Block] = [
        Text(
            "A quick model on frozen features, fitted to a part of the training groups and judged on the validation split. It is weaker "
            "than the network; whether more coils help is seen from the slope."
        ),
        Figures([charts.learning(curve)]),
        Table("", head, rows),
    ]
    return [Section("learning", "What more coils are worth", blocks)]


def _removed(remedy: Remedy) -> str:
    return f"{remedy.mistakes:,.0f}" if is_worth_something(remedy) else "none"


def _traded(found: TradeOff, recall: float, precision: float) -> str:
    """Say what recall costs, and what precision leaves of it."""
    said = []
    if found.at_recall is not None:
        said.append(
            f"recall {recall:g} costs {found.at_recall.false_alarms_per_1000:,.0f} false alarms per 1,000 clean patches (precision "
            f"{number(found.at_recall.precision, 2)})"
        )
    if found.at_precision is not None:
        said.append(f"precision {precision:g} leaves recall {number(found.at_precision.recall, 2)}")
    else:
        said.append(f"no threshold reaches precision {precision:g}")
    return f"On the test split, with these scores, {'; '.join(said)}. No threshold is chosen by this."
