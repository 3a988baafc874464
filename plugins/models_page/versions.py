"""One version: metrics, mistakes and lineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from models_page import confirmation, evidence
from models_page.access import Person, Reader
from models_page.pages import render
from models_page.rows import measured, moment, reasons_of, started
from models_page.store import ModelStore, store_of
from models_page.store_access import asks_store
from steel_training.registry import Pointer, VersionNotFound
from steel_training.registry.text import SHOWN
from steel_training.report.formatting import NAMES, bound_of, headline, metric, number
from steel_training.runs.result import REPORT

router = APIRouter()

_CARD = "model_card.md"


@router.get("/versions/{version}", response_class=HTMLResponse)
@asks_store()
def version(request: Request, person: Reader, version: str, model: str | None = None) -> HTMLResponse:
    """Show a version, or its verdict if it was pruned."""
    found = store_of(version, model)
    registry, store = found.registry, found.registry.store
    pointer, problem = found.pointer()
    try:
        known = registry.metadata(version)
    except VersionNotFound as error:
        return _gone(request, found, version, error)
    config = known.get("config") or {}
    gate = config.get("gate") or {}
    targets = {name: gate.get(name) for name in SHOWN}
    metrics, counts = known.get("metrics") or {}, known.get("counts")
    run_id = str(known["run_id"]) if known.get("run_id") else None
    missed, alarms = evidence.mistakes(store, run_id) if run_id else ([], [])
    bundle = {name: registry.key_of(version, name) for name in (REPORT, _CARD)}
    champion = pointer.version if pointer else None
    return render(
        request,
        "version.html.j2",
        name=registry.name,
        version=version,
        known=known,
        champion=champion,
        previous=pointer.previous if pointer else None,
        problem=problem,
        sentence=headline(counts) if counts else None,
        measured=measured(metrics, targets, gate.get("evidence")),
        further=_further(metrics),
        dots=evidence.drawing(evidence.against_targets(metrics, targets, gate.get("evidence"))),
        judged_by=gate.get("evidence") or "point",
        curve=evidence.drawing(evidence.precision_recall(store, [("this model", known)], targets)),
        missed=missed,
        alarms=alarms,
        counts=counts or {},
        facts=_facts(known, run_id),
        packages=known.get("packages") or {},
        reasons=reasons_of(known.get("reasons") or ()),
        report=evidence.report_key(store, run_id, bundle[REPORT]),
        card=bundle[_CARD] if store.exists(bundle[_CARD]) else None,
        folder=registry.key_of(version, "").rstrip("/"),
        run_id=run_id,
        threshold=known.get("threshold") or {},
        confirmation=_confirmation(person, registry.name, version, pointer),
        others=_others(found, version, champion),
        number=number,
    )


def _gone(request: Request, found: ModelStore, version: str, error: VersionNotFound) -> HTMLResponse:
    """Return the page of a pruned version, with its verdict; raise the error where no verdict is recorded."""
    decision = next((d for d in found.decisions.read().found if d.get("version") == version), None)
    if decision is None:
        raise error
    return render(
        request,
        "gone.html.j2",
        status=404,
        name=found.registry.name,
        version=version,
        decided=moment(decision["decided_at"]),
        measured=measured(decision.get("metrics") or {}, decision.get("targets") or {}, decision.get("evidence")),
        run_id=decision["run_id"],
    )


def _confirmation(person: Person, name: str, version: str, pointer: Pointer | None) -> str | None:
    champion = pointer.version if pointer else None
    if not person.may_move or version == champion or (pointer and version in pointer.retired):
        return None
    return confirmation.ask(person, confirmation.Move("promote", name, version, champion))


def _others(found: ModelStore, version: str, champion: str | None) -> list[str]:
    """Return versions to compare with: the champion first, then the newest."""
    started = set(found.registry.started())
    newest = [str(d["version"]) for d in found.decisions.read().found if d.get("version") in started]
    return [each for each in dict.fromkeys(([champion] if champion else []) + newest) if each != version][:50]


def _further(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (NAMES.get(name, name), metric(name, estimate.get("value")), metric(name, bound_of(estimate)))
        for name, estimate in metrics.items()
        if isinstance(estimate, Mapping)
    ]


def _facts(known: Mapping[str, Any], run_id: str | None) -> list[tuple[str, str]]:
    config, machine = known.get("config") or {}, known.get("machine") or {}
    model, data = config.get("model") or {}, config.get("data") or {}
    facts = [
        ("Judged", moment(known.get("judged_at")) + " UTC"),
        ("Started by", started(run_id) if run_id else None),
        ("Dataset", known.get("dataset")),
        ("Dataset version", known.get("dataset_version") or "undated"),
        ("Fingerprint", known.get("fingerprint")),
        ("Split seed", known.get("split_seed")),
        ("Backbone", f"{model['backbone']}, {data.get('input_size')} pixels" if model.get("backbone") else None),
        ("Weights", (known.get("weights") or {}).get("detail")),
        ("Released by", (known.get("approval") or {}).get("by")),
        ("Compared with champion", known.get("parent_champion") or "none"),
        ("Configuration", known.get("configuration")),
        ("Code", known.get("code")),
        ("Machine", f"{machine.get('cores')} cores, {machine.get('platform')}" if machine else None),
    ]
    for split, sizes in (known.get("parts") or {}).items():
        facts.append((f"Patches, {split}", f"{sizes['clean']:,} clean, {sizes['defective']:,} defective"))
    return [(name, str(value)) for name, value in facts if value is not None]
