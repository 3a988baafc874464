"""Renders a run as one self-contained HTML page, verdict first."""

from __future__ import annotations

from pathlib import Path

from steel_training.report import judged, process
from steel_training.report.blocks import Section
from steel_training.report.record import RunRecord
from steel_training.report.wording import headline
from steel_training.verdict import Verdict

HEADLINES = {
    Verdict.PUBLISHED: "Published",
    Verdict.REJECTED: "Rejected: this model is not published",
    Verdict.BLOCKED: "Blocked: the run ended before a model was judged",
    Verdict.UNCHANGED: "Unchanged: nothing to do",
    None: "Not decided yet",
}
SIGNS: dict[Verdict | None, str] = {Verdict.PUBLISHED: "✓", Verdict.REJECTED: "✗", Verdict.BLOCKED: "■"}


def render(record: RunRecord) -> str:
    """Renders the report from the stages that have finished; a section appears when its data does.

    The page fetches nothing and runs nothing. Everything that comes from manifests is escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evaluated = record.outputs("evaluate")
    return environment.get_template("report.html.j2").render(
        headline=HEADLINES[record.verdict],
        sign=SIGNS.get(record.verdict, "○"),
        tone=str(record.verdict or ""),
        record=record,
        sentence=headline(evaluated["counts"]) if evaluated else "",
        sections=sections(record),
    )


def sections(record: RunRecord) -> list[Section]:
    """Returns what there is to tell, most urgent first: for a run that was blocked, the evidence for that."""
    evidence = [
        *process.probes(record.outputs("check_baseline")),
        *process.validation(record.outputs("validate_patches")),
    ]
    told: list[Section] = []
    if record.verdict is Verdict.BLOCKED:
        told, evidence = evidence, []
    evaluated = record.outputs("evaluate")
    if evaluated:
        told += [judged.metrics(evaluated), *judged.mistakes(record.mistakes, evaluated), judged.confusion(evaluated)]
        if record.curves is not None:
            told.append(judged.curves(record.curves, evaluated, record.scores))
        told += [judged.rivals(evaluated), *judged.slices(evaluated)]
    told += [*process.training(record), *process.data(record), *evidence]
    if record.outputs("verify_bundle"):
        told.append(judged.bundle(record.outputs("verify_bundle")))
    return [*told, *process.time(record), *process.lineage(record)]
