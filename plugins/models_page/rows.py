"""The verdicts as the page lists them: one row each, newest first, with figures against targets. Pure."""

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
    """One figure against its target.

    Attributes:
        name: as people say it.
        value: written; a dash where there is none.
        target: written; None where none was set or recorded.
        met: whether what is judged reaches it; None without a target.
        bound: written, where the bound is what is judged.
    """

    name: str
    value: str
    target: str | None
    met: bool | None
    bound: str | None


@dataclass(frozen=True)
class Row:
    """One verdict; `allowed` where an alarm of the baseline check was let pass by name."""

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
        counts: of all verdicts, by what they are filtered by.
        page: number of the page, from 1.
        pages: how many there are.
        total: rows on all pages of this filter.
    """

    rows: Sequence[Row]
    counts: Mapping[str, int]
    page: int
    pages: int
    total: int


def listing(
    decisions: Sequence[Mapping[str, Any]],
    there: Collection[str],
    champion: str | None,
    *,
    whole: bool,
    verdict: str | None,
    page: int,
) -> Listing:
    """Returns one page of verdicts.

    Args:
        decisions: newest first.
        there: versions that the registry holds. One without a verdict gets a row too, at the day its name begins with.
        champion: is marked.
        whole: whether these are all decisions; else nobody can say which versions have none.
        verdict: only these; None for all.
        page: wanted; the nearest there is.
    """
    decided = {decision.get("version") for decision in decisions}
    found = [(str(decision["decided_at"]), shown_verdict(decision, there), decision) for decision in decisions]
    unrecorded = [version for version in there if version not in decided] if whole else []
    if unrecorded:
        found += [(_day(version), "no record", {"version": version}) for version in unrecorded]
        found.sort(key=lambda each: each[0], reverse=True)
    counts = Counter(shown for _, shown, _ in found)
    wanted = [each for each in found if verdict is None or each[1] == verdict]
    pages = max(1, -(-len(wanted) // PAGE))
    page = min(max(page, 1), pages)
    rows = [row(decision, shown, champion) for _, shown, decision in wanted[(page - 1) * PAGE : page * PAGE]]
    return Listing(rows, counts, page, pages, len(wanted))


def shown_verdict(decision: Mapping[str, Any], there: Collection[str]) -> str:
    """Returns the verdict, or `pruned` for a published version that is there no more."""
    verdict = str(decision["verdict"])
    return "pruned" if verdict == "published" and decision.get("version") not in there else verdict


def row(decision: Mapping[str, Any], verdict: str, champion: str | None) -> Row:
    """Returns one verdict as it is shown."""
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
    """Returns the judged figures, each against its target."""
    told = []
    for name, said in SHOWN.items():
        estimate = metrics.get(name)
        estimate = estimate if isinstance(estimate, Mapping) else {}
        target, value = targets.get(name), estimate.get("value")
        known = is_number(target)
        told.append(
            Measured(
                said[:1].upper() + said[1:],
                number(value) if is_number(value) else "–",
                f"{target:g}" if known else None,
                is_met(estimate, float(target), str(evidence)) if known and metrics else None,
                number(bound_of(estimate)) if evidence == "bound" and is_number(bound_of(estimate)) else None,
            )
        )
    return told


def reasons_of(reasons: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Returns code and message of every reason."""
    return [(str(reason.get("code", "?")), str(reason.get("message", ""))) for reason in reasons]


def started(run_id: str) -> str:
    """Returns what started a run, as its id tells."""
    return next((said for prefix, said in _STARTED.items() if run_id.startswith(prefix)), "command line")


def moment(text: Any) -> str:
    """Writes a time of the store (UTC, ISO 8601) to the minute."""
    written = str(text or "")
    return f"{written[:10]} {written[11:16]}".strip() or "–"


def _day(version: str) -> str:
    return f"{version[:4]}-{version[4:6]}-{version[6:8]}" if version[:8].isdigit() else ""
