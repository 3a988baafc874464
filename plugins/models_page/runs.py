"""The verdict of a run, or how far it is: from what its stages left in the store, and from what Airflow knows of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from models_page import evidence
from models_page.access import DAG_ID, Reader
from models_page.pages import render
from models_page.rows import SIGNS, measured, moment, started
from models_page.store import open_store
from steel_training.report.formatting import duration, headline
from steel_training.runs.result import STAGES, StageResult, safe_run_id
from steel_training.runs.run import ResultUnreadable, Run
from steel_training.storage import Storage
from steel_training.verdict import Verdict

router = APIRouter()

ACTIVE = {"queued", "running"}
_LONGEST_STAGE = timedelta(hours=12)
_AT_WORK = {
    *("scheduled", "queued", "running", "restarting", "deferred"),
    *("up_for_retry", "up_for_reschedule", "awaiting_input"),
}
_SAID = {
    "scheduled": "will begin",
    "queued": "waits for a worker",
    "running": "is running",
    "restarting": "is restarting",
    "deferred": "waits",
    "up_for_retry": "failed, will be tried again",
    "up_for_reschedule": "waits",
    "awaiting_input": "waits for a person: Required actions, in Airflow",
    "failed": "failed",
    "upstream_failed": "not reached: a task before it failed",
    "skipped": "skipped",
    "removed": "removed",
}


@dataclass(frozen=True)
class Step:
    """A stage as it stands.

    Attributes:
        stage: its name.
        sign: ✓, …, ✗ or a dash.
        said: in words.
    """

    stage: str
    sign: str
    said: str


@dataclass(frozen=True)
class InAirflow:
    """What Airflow knows of a run: its state, and the state of every task with when it began."""

    state: str
    tasks: Mapping[str, tuple[str, str]]


@router.get("/runs/{dag_run_id:path}", response_class=HTMLResponse)
def run(request: Request, _: Reader, dag_run_id: str, dag: str = DAG_ID) -> HTMLResponse:
    """The verdict with reasons, or the stages that have finished."""
    if dag not in (DAG_ID, ""):
        return render(
            request, "message.html.j2", title="No verdict", way_out=None,
            message=f"Runs of {dag} have none: only those of {DAG_ID} train a model.",
        )  # fmt: skip
    store, run_id = open_store(), safe_run_id(dag_run_id)
    results, torn = _results(store, run_id)
    airflow = _in_airflow(dag_run_id)
    last = _last(results, airflow)
    verdict = last.verdict if last else None
    active = airflow.state in ACTIVE if airflow else False
    judged = results.get("evaluate")
    figures = dict(judged.outputs) if judged and judged.outputs.get("metrics") else {}
    previous = (last.outputs.get("previous") or {}) if last and verdict is Verdict.UNCHANGED else {}
    resolved = results["resolve_dataset"].outputs if "resolve_dataset" in results else {}
    # Those of the baseline check hold the ones of validation, and the pairs of patches behind its alarms.
    docs = next(
        (f"runs/{run_id}/{stage}/{page}" for stage in ("check_baseline", "validate_patches")
         if stage in results and (page := results[stage].outputs.get("data_docs"))), None,
    )  # fmt: skip
    return render(
        request,
        "run.html.j2",
        dag_run_id=dag_run_id,
        run_id=run_id,
        known=bool(results or airflow),
        verdict=str(verdict) if verdict else None,
        sign=SIGNS.get(str(verdict), "…"),
        ended=last.stage if last and verdict else None,
        reasons=last.reasons if last and verdict else (),
        version=previous.get("version") or (last.outputs.get("version") if last else None),
        previous=previous,
        champion=last.outputs.get("champion") if last else None,
        airflow=airflow,
        refresh=active or (not verdict and airflow is None and _may_be_at_work(results)),
        steps=_steps(results, airflow, ended=verdict is not None),
        finished=sum(stage in results for stage in STAGES),
        torn=torn,
        sentence=headline(figures["counts"]) if figures.get("counts") else None,
        measured=measured(figures["metrics"], figures.get("targets") or {}, figures.get("evidence")) if figures else [],
        dataset=str(resolved.get("dataset") or ""),
        dataset_version=resolved.get("version"),
        started=started(dag_run_id),
        report=evidence.report_key(store, run_id) if verdict else None,
        docs=docs,
        folder=f"runs/{run_id}/" if results else None,
    )


def _results(store: Storage, run_id: str) -> tuple[dict[str, StageResult], list[str]]:
    """Returns the results of the finished stages, in order, and the stages whose result cannot be read."""
    whole, torn = Run(store, run_id), []

    def find(stage: str) -> StageResult | None:
        try:
            return whole.read_result(stage)
        except ResultUnreadable:
            torn.append(stage)
            return None

    with ThreadPoolExecutor(len(STAGES)) as pool:
        found = dict(zip(STAGES, pool.map(find, STAGES), strict=True))
    return {stage: result for stage, result in found.items() if result is not None}, torn


def _last(results: Mapping[str, StageResult], airflow: InAirflow | None) -> StageResult | None:
    """Returns the result that ends the run. One that Airflow is about to do again does not: it is of an earlier attempt."""
    for stage, result in reversed(list(results.items())):
        again = airflow and airflow.tasks.get(stage, ("", ""))[0] in ("", *_AT_WORK) and airflow.state in ACTIVE
        if result.verdict is not None and not again:
            return result
    return None


def _steps(results: Mapping[str, StageResult], airflow: InAirflow | None, *, ended: bool) -> list[Step]:
    tasks = airflow.tasks if airflow else {}
    told = []
    for stage in [*STAGES, *(task for task in tasks if task not in STAGES)]:
        state, since = tasks.get(stage, ("", ""))
        result = results.get(stage)
        if state in _AT_WORK:
            told.append(Step(stage, "…", f"{_SAID[state]}{f' since {since} UTC' if since else ''}"))
        elif state in ("failed", "upstream_failed"):
            told.append(Step(stage, "✗", _said(state, result)))
        elif result is not None:
            told.append(Step(stage, "✓", _said("", result)))
        elif state == "success":
            told.append(Step(stage, "✓", "finished"))
        elif state or not ended:
            told.append(Step(stage, "–", _SAID.get(state, "not begun" if airflow else "not finished")))
    return told


def _may_be_at_work(results: Mapping[str, StageResult]) -> bool:
    """Says of a run that Airflow does not know, such as one by hand, whether its last result is younger than any stage is long."""
    if not results:
        return False
    try:
        last = max(datetime.fromisoformat(result.finished_at) for result in results.values())
        return datetime.now(UTC) - last < _LONGEST_STAGE
    except (ValueError, TypeError):
        return False


def _said(state: str, result: StageResult | None) -> str:
    if result is None:
        return _SAID[state]
    ends = {
        "done": "finished",
        "blocked": "blocks the run",
        "refused": "refuses the model",
        "unchanged": "nothing to do",
    }
    return f"{ends[str(result.status)]} · {duration(result.seconds)} · {moment(result.finished_at)} UTC"


def _in_airflow(dag_run_id: str) -> InAirflow | None:
    """Returns what Airflow's database knows of a run of the DAG."""
    with create_session() as session:
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == DAG_ID, DagRun.run_id == dag_run_id))
        if state is None:
            return None
        columns: Any = (TaskInstance.task_id, TaskInstance.state, TaskInstance.start_date)
        rows = session.execute(
            select(*columns).where(TaskInstance.dag_id == DAG_ID, TaskInstance.run_id == dag_run_id)
        ).all()
    tasks = {task: (str(state or ""), moment(since.isoformat()) if since else "") for task, state, since in rows}
    return InAirflow(str(state), tasks)
