"""Judges a profile: critical expectations block, warnings are reported."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from steel_training.config import ValidationConfig
from steel_training.data.drift import Comparison
from steel_training.validation.data_docs import DOCS, STYLES, finish
from steel_training.validation.frames import Facts, tables_of
from steel_training.validation.outcome import ExpectationOutcome, ValidationOutcome
from steel_training.validation.rules import CRITICAL, RULES, Rule
from steel_training.validation.suite import Finding, open_session


def validate_patches(
    profile: pd.DataFrame, config: ValidationConfig, *, folder: Path, split_problem: str | None, drift: Comparison
) -> ValidationOutcome:
    """Judge a profile by every rule that can be judged.

    A rule that needs a missing column, or would only repeat another failure, is not judged: its outcome has
    `success` None and a message with the reason.

    Args:
        profile: of `profile_patches`, with the columns `part` and `group` of the run.
        config: the targets.
        folder: gets `data_docs/` (start at the returned `data_docs`) and the suites as JSON in `expectations/`.
        split_problem: why no splits could be made, or `None`.
        drift: of the profile from that of the champion.

    Raises:
        ValidationFailed: Great Expectations itself failed.
    """
    tables = tables_of(profile, min_contrast=config.min_contrast, split_problem=split_problem, drift=drift)
    rules = [rule for rule in RULES if rule.applies(tables.facts, config)]
    with open_session(tables, config, folder=folder, styles=STYLES) as session:
        unjudged = {rule: why for rule in rules if (why := _why_not(rule, profile, tables.facts)) is not None}
        # Rules that others depend on are judged first, without a trace in the Data Docs.
        awaited = {code for rule in rules for code in rule.after}
        first = session.judge(
            [rule for rule in rules if rule.code in awaited and rule.severity == CRITICAL and rule not in unjudged]
        )
        failed = {rule.code for rule, finding in first.items() if not finding.success}
        for rule in rules:
            unmet = [code for code in rule.after if code in failed]
            if rule not in unjudged and unmet:
                unjudged[rule] = f"Not judged before {', '.join(unmet)} holds."
        findings = session.judge_and_document([rule for rule in rules if rule not in unjudged])
    outcomes = tuple(
        _left_out(rule, unjudged[rule], tables.facts, config)
        if rule in unjudged
        else _outcome(rule, findings[rule], tables.facts, config)
        for rule in rules
    )
    success = not any(outcome.blocks for outcome in outcomes)
    index = finish(folder / DOCS, outcomes, success=success)
    return ValidationOutcome(outcomes, index.relative_to(folder).as_posix())


def _why_not(rule: Rule, profile: pd.DataFrame, facts: Facts) -> str | None:
    if rule.table == "drift" and not facts.drift.properties:
        return f"Not judged: {facts.drift.note}."
    missing = [column for column in rule.needs if column not in profile]
    if missing:
        return f"Not judged: column {', '.join(missing)} is missing."
    if facts.patches == 0 and rule.code not in ("data.required_columns", "data.row_count"):
        return "Not judged: there are no patches."
    if rule.needs_splits and facts.split_problem is not None:
        return f"Not judged: no splits could be made ({facts.split_problem})."
    return None


def _left_out(rule: Rule, why: str, facts: Facts, config: ValidationConfig) -> ExpectationOutcome:
    expected = rule.expected.format(facts=facts, limit=config)
    return ExpectationOutcome(rule.code, rule.title, rule.severity, None, "not judged", expected, 0, (), why)


def _outcome(rule: Rule, finding: Finding, facts: Facts, config: ValidationConfig) -> ExpectationOutcome:
    fields = {
        "facts": facts,
        "limit": config,
        "count": finding.count,
        "share": finding.share,
        "named": _named(rule, finding),
        "missing": ", ".join(finding.missing) or "none",
    }
    message = rule.message_without_splits if facts.split_problem is not None else None
    return ExpectationOutcome(
        code=rule.code,
        title=rule.title,
        severity=rule.severity,
        success=finding.success,
        observed=rule.observed.format(**fields),
        expected=rule.expected.format(**fields),
        unexpected_count=finding.count,
        examples=finding.rows if rule.table == "patches" else (),
        message="" if finding.success else (message or rule.message).format(**fields),
    )


def _named(rule: Rule, finding: Finding) -> str:
    shown = [
        f"{row} ({_short(value)})" if rule.shows_values and value is not None else row
        for row, value in zip(finding.rows, finding.values, strict=True)
    ]
    rest = finding.count - len(shown)
    return (", ".join(shown) or "none") + (f" and {rest:,} more" if rest else "")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}…"
