"""Renders a run as one self-contained HTML page, verdict first."""

from __future__ import annotations

from steel_training.leakage.probe import CORRECTED_COPY
from steel_training.report import evaluation_sections, label_sections, leakage_sections, remedy_sections, run_sections
from steel_training.report.blocks import Section
from steel_training.report.formatting import FOUND, headline
from steel_training.report.record import RunRecord
from steel_training.report.rendering import templates
from steel_training.verdict import Verdict

HEADLINES = {
    Verdict.PUBLISHED: "Published",
    Verdict.REJECTED: "Rejected: the model is not published",
    Verdict.BLOCKED: "Blocked: a check failed before the model was trained",
    Verdict.UNCHANGED: "Unchanged: nothing to do",
    None: "No verdict yet",
}
SIGNS: dict[Verdict | None, str] = {Verdict.PUBLISHED: "✓", Verdict.REJECTED: "✗", Verdict.BLOCKED: "■"}


def render(record: RunRecord) -> str:
    """Render the report; a section appears when its stage has finished.

    The page loads no external files and runs no script. Text from manifests is escaped.
    """
    evaluated = record.outputs("evaluate")
    page: str = (
        templates()
        .get_template("report.html.j2")
        .render(
            headline=HEADLINES[record.verdict],
            sign=SIGNS.get(record.verdict, "○"),
            tone=str(record.verdict or ""),
            record=record,
            reasons=[
                (FOUND.get(reason.code, ""), reason.code, reason.message.split(CORRECTED_COPY)[0])
                for reason in record.reasons
            ],
            commands=_commands(record),
            sentence=headline(evaluated["counts"]) if evaluated else "",
            sections=sections(record),
        )
    )
    return page


def _commands(record: RunRecord) -> list[str]:
    """Return the commands that fix what blocks the run, without duplicates."""
    if record.verdict is not Verdict.BLOCKED:
        return []
    found = [
        probe for stage in ("validate_patches", "check_baseline") for probe in record.outputs(stage).get("probes", ())
    ]
    codes = {reason.code for reason in record.reasons}
    return list(dict.fromkeys(probe["fix"] for probe in found if probe.get("fix") and probe["code"] in codes))


def sections(record: RunRecord) -> list[Section]:
    """Return the sections, most urgent first: of a blocked run the evidence, of a rejected one what would help."""
    explained = {reason.code for reason in record.reasons} if record.verdict is Verdict.BLOCKED else set()
    evidence = [
        *leakage_sections.probes(record.outputs("check_baseline"), record.evidence, explained),
        *run_sections.validation(record.outputs("validate_patches"), record.evidence, explained),
    ]
    shown: list[Section] = []
    if record.verdict is Verdict.BLOCKED:
        shown, evidence = evidence, []
    evaluated = record.outputs("evaluate")
    if record.verdict is Verdict.REJECTED and evaluated:
        shown += remedy_sections.what_would_help(record)
    if evaluated:
        shown += [
            evaluation_sections.metrics(evaluated),
            *label_sections.corrected(evaluated),
            *evaluation_sections.mistakes(record.mistakes, evaluated),
            evaluation_sections.confusion(evaluated),
        ]
    # Next to the mistakes: what looks like a mistake of the model may be one of the labels.
    shown += label_sections.labels(record.outputs("audit_labels"), record.suspects)
    shown += label_sections.agreement(record.agreements, record.answers_problem)
    if evaluated:
        if record.curves is not None:
            shown.append(evaluation_sections.curves(record.curves, evaluated, record.scores))
        shown += [evaluation_sections.comparison(evaluated), *evaluation_sections.slices(evaluated)]
    shown += remedy_sections.learning_curve(record.learning_curve)
    shown += [*run_sections.training(record), *run_sections.data(record), *evidence]
    if record.outputs("verify_bundle"):
        shown.append(evaluation_sections.bundle(record.outputs("verify_bundle")))
    return [*shown, *run_sections.time(record), *run_sections.lineage(record)]
