"""The commands `labels …`: options and output."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from steel_training.errors import UsageError

ConfigFile = Annotated[str | None, typer.Option(metavar="FILE", help="YAML file with settings")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", default_factory=list, show_default=False, help="one setting; may be repeated"
    ),
]

AuditFile = Annotated[
    str | None, typer.Option("--audit", metavar="FILE.csv", help="file of `labels audit`: its worst labels are shown")
]
Controls = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="random other patches of a blind review", show_default="as many as suspects"),
]
First = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="how many of the worst labels", show_default="those that the audit suspects"),
]
Split = Annotated[str | None, typer.Option(metavar="NAME", help="only patches of this split, such as test")]
Seed = Annotated[int, typer.Option(help="of the draw and the order of a blind review")]

_LISTED = 5

labels = typer.Typer(
    help="Find labels that may be wrong, compare those who judge them, and write a corrected version.",
    rich_markup_mode=None,
)


@labels.command()
def audit(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")
    ],
    out: Annotated[str, typer.Option(metavar="FILE.csv", help="file to write: every patch, worst label first")],
    *,
    config: ConfigFile = None,
    overrides: Overrides,
    as_json: Annotated[bool, typer.Option("--json", help="print the estimates as JSON")] = False,
) -> int:
    """Rank the labels of a dataset by how likely they are wrong, and estimate how many are."""
    from steel_training.config import load_config
    from steel_training.labels.audit_csv import companion, require_new, write_audit_csv, write_companion
    from steel_training.labels.dataset_audit import audit_dataset

    path = Path(out)
    require_new(path)
    require_new(companion(path))
    if not path.parent.is_dir():
        raise UsageError(f"The folder of {path} does not exist; make it first.")
    audited = audit_dataset(dataset, load_config(config, overrides=overrides))
    found = audited.audit
    write_audit_csv(path, found.table)
    write_companion(path, audited.fingerprint, found.nearest)
    for each in found.wrong:
        name = ("clean", "defective")[each.label]
        sys.stderr.write(
            f"of {each.patches:,} patches labelled {name}, about {each.share:.1%} are not ({each.low:.1%} to {each.high:.1%})\n"
        )
    sys.stderr.write(
        f"{path}: {len(found.table):,} patches, worst label first; {len(found.suspects):,} labels are more likely wrong than right\n"
    )
    short = {"labels": str(path), "patches": len(found.table), "suspects": len(found.suspects)}
    sys.stdout.write(json.dumps(short | found.as_dict() if as_json else short) + "\n")
    return 0


@labels.command()
def review(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")
    ],
    store: Annotated[str, typer.Option(help="folder or s3:// prefix for the answers")],
    reviewer: Annotated[str, typer.Option(metavar="NAME", help="who answers")],
    *,
    audit_file: AuditFile = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="hide label and score, and mix in random other patches, in random order")
    ] = False,
    controls: Controls = None,
    first: First = None,
    split: Split = None,
    seed: Seed = 0,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="port to listen on", show_default="a free one")] = 0,
    config: ConfigFile = None,
    overrides: Overrides,
) -> int:
    """Open a page on this machine on which a person says what is on a patch.

    Without --audit only random patches can be read: --blind --controls N. Nobody else can open the page: its address holds a secret.
    """
    import secrets

    from steel_training.config import load_config
    from steel_training.labels.review.opened import Choice, open_review
    from steel_training.labels.review.server import serve_review

    choice = Choice(Path(audit_file) if audit_file else None, blind, controls, seed, first, split)
    opened = open_review(
        dataset, store, reviewer, choice, load_config(config, overrides=overrides), key=secrets.token_bytes(32)
    )
    progress = opened.window()

    def started(address: str) -> None:
        sys.stderr.write(
            f"{progress['answered']:,} of {progress['total']:,} patches are answered\n{address}  (Ctrl-C to stop)\n"
        )
        sys.stderr.flush()

    serve_review(opened, reviewer, port, started)
    ended = opened.window()
    counts = {name: ended[name] for name in ("answered", "total")}
    sys.stdout.write(json.dumps({"dataset": opened.sheet.dataset, **counts}) + "\n")
    return 0


@labels.command("hand-out")
def hand_out(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="new folder")],
    *,
    audit_file: AuditFile = None,
    controls: Controls = None,
    first: First = None,
    split: Split = None,
    seed: Seed = 0,
    config: ConfigFile = None,
    overrides: Overrides,
) -> int:
    """Write patches for a blind review in Label Studio or CVAT. Do not upload its key.json."""
    from steel_training.config import load_config
    from steel_training.labels.review.handed_out import hand_out
    from steel_training.labels.review.opened import Choice, choose

    choice = Choice(Path(audit_file) if audit_file else None, True, controls, seed, first, split)
    chosen = choose(dataset, choice, load_config(config, overrides=overrides))
    hand_out(chosen, out)
    sys.stdout.write(json.dumps({"out": out, "patches": len(chosen.patches)}) + "\n")
    return 0


@labels.command("take-in")
def take_in(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON export of Label Studio, or XML of CVAT for images 1.1")
    ],
    key: Annotated[str, typer.Option(metavar="FILE", help="key.json that `labels hand-out` wrote")],
    store: Annotated[str, typer.Option(help="folder or s3:// prefix for the answers")],
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="who answered", show_default="as in the file")
    ] = None,
) -> int:
    """Record what people answered in Label Studio or CVAT."""
    from steel_training.labels.review.handed_in import take_in

    recorded, known = take_in(Path(file), Path(key), store, reviewer)
    sys.stderr.write(f"{recorded:,} answers recorded, {known:,} were recorded before\n")
    sys.stdout.write(json.dumps({"recorded": recorded, "known": known}) + "\n")
    return 0


@labels.command()
def apply(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix of dated versions; the newest is corrected")
    ],
    store: Annotated[str, typer.Option(help="folder or s3:// prefix with the answers")],
    *,
    as_of: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="day of the new version", show_default="today")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides,
) -> int:
    """Write a new dated version with the labels that reviewers agree on."""
    from steel_training.config import load_config
    from steel_training.labels.answers import read_answers
    from steel_training.labels.corrected_version import apply_corrections
    from steel_training.storage import open_storage

    try:
        day = date.fromisoformat(as_of) if as_of else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--date {as_of!r} is not a valid date; expected YYYY-MM-DD.") from None
    data = load_config(config, overrides=overrides).data
    answers = read_answers(open_storage(store))
    out, found = apply_corrections(
        dataset, answers, day=day, seed=data.seed, val_share=data.val_share, test_share=data.test_share
    )
    sys.stderr.write(f"{out}: {len(found.changed):,} labels changed, {len(found.confirmed):,} confirmed\n")
    for what, names in (
        ("answers contradict each other, label kept", found.contradicting),
        ("in the test split and not answered blind, label kept", found.not_blind),
        ("nobody could tell, label kept", found.undecided),
    ):
        if names:
            more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
            sys.stderr.write(f"  {len(names):,} patches: {what}: {', '.join(names[:_LISTED])}{more}\n")
    counts = {name: len(each) for name, each in vars(found).items() if name != "unknown"}
    sys.stdout.write(json.dumps({"dataset": out, **counts, "contradicting_patches": list(found.contradicting)}) + "\n")
    return 0


@labels.command()
def agreement(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="folder or s3:// prefix; of dated versions the newest")
    ],
    store: Annotated[str, typer.Option(help="folder or s3:// prefix with the answers")],
    scores: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="scores.parquet of a run's evaluate, to compare its model as well"),
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="operating threshold of that model")] = None,
) -> int:
    """Compare labels, model and reviewers on the patches that were answered blind."""
    from steel_training.labels.agreement import NAMES
    from steel_training.labels.dataset_agreement import dataset_agreement

    if (scores is None) != (threshold is None):
        raise UsageError("--scores and --threshold belong together; give both or neither.")
    found = dataset_agreement(dataset, store, scores=scores, threshold=threshold)
    for each in found:
        sys.stderr.write(f"{each.assessor} against {each.reference}, {each.patches:,} patches\n")
        for name in NAMES:
            measured = getattr(each, name)
            sys.stderr.write(f"  {name:<17} {measured.value:6.3f}  ({measured.low:.3f} to {measured.high:.3f})\n")
    sys.stdout.write(json.dumps({"agreements": [each.as_dict() for each in found]}) + "\n")
    return 0
