"""The verdicts as the page lists them: one row each, newest first, with metrics and targets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steel_training.registry.text import SHOWN
from steel_training.report.formatting import bound_of, is_met, is_number, number

PAGE = 50
SIGNS = {"published": "✓", "rejected": "✗", "blocked": "■", "pruned": "–", "unchanged": "○", "no record": "?"}
FILTERS = ("published", "rejected", "blocked", "pruned")

_STARTED = {
    "backfill__": "backfill",
    "scheduled__": "schedule",
    "manual__": "by hand",
    "asset_triggered__": "new data",
}


@dataclass(frozen=True)
class Measured:
    """One metric and its target.

    Attributes:
        name: display name.
        value: as text; a dash where there is none.
        target: as text; None where none was set or recorded.
        met: whether the judged value reaches it; None without a target.
        bound: as text, where the bound is judged.
    """

    name: str
    value: str
    target: str | None
    met: bool | None
    bound: str | None


@dataclass(frozen=True)
class Row:
    """One verdict; `allowed` where an alarm of the baseline check was allowed by name."""

    verdict: str
    sign: str
    version: str | None
    run_id: str | None
    decided: str
    dataset: str
    dataset_version: str | None
    started: str
    measured: Sequence[Measured]
    reasons: Sequence[tuple[str, str]]
    champion: bool
    allowed: bool


@dataclass(frozen=True)
class Listing:
    """One page of rows.

    Attributes:
        rows: of the page.
        counts: of all verdicts, by filter.
        page: number of the page, from 1.
        pages: number of pages.
        total: rows on all pages of this filter.
    """

    rows: Sequence[Row]
    counts: Mapping[str, int]
    page: int
    pages: int
    total: int


def listing(
    decisions: Sequence[Mapping[str, Any]],
    existing: Collection[str],
    champion: str | None,
    *,
    complete: bool,
    verdict: str | None,
    page: int,
) -> Listing:
    """Return one page of verdicts.

    Args:
        decisions: newest first.
        existing: versions of the registry. One without a verdict gets a row too, at the date in its name.
        champion: the version to mark.
        complete: whether these are all decisions; otherwise versions without a verdict are not listed.
        verdict: only these; None for all.
        page: number of the page; the nearest existing one is returned.
    """
    decided = {decision.get("version") for decision in decisions}
    found = [(str(decision["decided_at"]), shown_verdict(decision, existing), decision) for decision in decisions]
    unrecorded = [version for version in existing if version not in decided] if complete else []
    if unrecorded:
        found += [(_day(version), "no record", {"version": version}) for version in unrecorded]
        found.sort(key=lambda each: each[0], reverse=True)
    counts = Counter(shown for _, shown, _ in found)
    wanted = [each for each in found if verdict is None or each[1] == verdict]
    pages = max(1, -(-len(wanted) // PAGE))
    page = min(max(page, 1), pages)
    rows = [row(decision, shown, champion) for _, shown, decision in wanted[(page - 1) * PAGE : page * PAGE]]
    return Listing(rows, counts, page, pages, len(wanted))


def shown_verdict(decision: Mapping[str, Any], existing: Collection[str]) -> str:
    """Return the verdict, or `pruned` for a published version that no longer exists."""
    verdict = str(decision["verdict"])
    return "pruned" if verdict == "published" and decision.get("version") not in existing else verdict


def row(decision: Mapping[str, Any], verdict: str, champion: str | None) -> Row:
    """Return the row of a verdict."""
    version, run_id = decision.get("version"), decision.get("run_id")
    dataset = str(decision.get("dataset") or "")
    dated = decision.get("dataset_version")
    name = dataset.rstrip("/").rsplit("/", 1)[-1] if not dated else "/".join(dataset.rstrip("/").rsplit("/", 2)[-2:-1])
    return Row(
        verdict=verdict,
        sign=SIGNS.get(verdict, "○"),
        version=str(version) if version else None,
        run_id=str(run_id) if run_id else None,
        decided=moment(decision.get("decided_at")),
        dataset=name or "–",
        dataset_version=str(dated) if dated else None,
        started=started(str(run_id)) if run_id else "–",
        measured=measured(decision.get("metrics") or {}, decision.get("targets") or {}, decision.get("evidence")),
        reasons=reasons_of(decision.get("reasons") or ()),
        champion=bool(version) and version == champion,
        allowed=bool(decision.get("allowed")),
    )


def measured(metrics: Mapping[str, Any], targets: Mapping[str, Any], evidence: Any) -> list[Measured]:
    """Return the judged metrics, each with its target."""
    rows = []
    for name, title in SHOWN.items():
        estimate = metrics.get(name)
        estimate = estimate if isinstance(estimate, Mapping) else {}
        target, value = targets.get(name), estimate.get("value")
        known = is_number(target)
        rows.append(
            Measured(
                title[:1].upper() + title[1:],
                number(value) if is_number(value) else "–",
                f"{target:g}" if known else None,
                is_met(estimate, float(target), str(evidence)) if known and metrics else None,
                number(bound_of(estimate)) if evidence == "bound" and is_number(bound_of(estimate)) else None,
            )
        )
    return rows


def reasons_of(reasons: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return code and message of every reason."""
    return [(str(reason.get("code", "?")), str(reason.get("message", ""))) for reason in reasons]


def started(run_id: str) -> str:
    """Return what started a run, according to its id."""
    return next((trigger for prefix, trigger in _STARTED.items() if run_id.startswith(prefix)), "command line")


def moment(text: Any) -> str:
    """Format a time of the store (UTC, ISO 8601) to the minute."""
    written = str(text or "")
    return f"{written[:10]} {written[11:16]}".strip() or "–"


def _day(version: str) -> str:
    return f"{version[:4]}-{version[4:6]}-{version[6:8]}" if version[:8].isdigit() else ""
