"""The verdict or the progress of a run: from the results of its stages in the store, and from the states of its tasks in Airflow."""

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
from models_page.store_access import asks_store
from steel_training.report.formatting import duration, headline
from steel_training.runs.result import STAGES, StageResult, folder_of, safe_run_id
from steel_training.runs.run import ResultDamaged, ResultUnreadable, Run
from steel_training.storage import Storage
from steel_training.verdict import Verdict

router = APIRouter()

ACTIVE = {"queued", "running"}
_LONGEST_STAGE = timedelta(hours=12)
_AT_WORK = {
    *("scheduled", "queued", "running", "restarting", "deferred"),
    *("up_for_retry", "up_for_reschedule", "awaiting_input"),
}
_STATE_TEXTS = {
    "scheduled": "starts soon",
    "queued": "waiting for a worker",
    "running": "running",
    "restarting": "restarting",
    "deferred": "waiting",
    "up_for_retry": "failed, will be retried",
    "up_for_reschedule": "waiting",
    "awaiting_input": "waiting for approval: see Required Actions in Airflow",
    "failed": "failed",
    "upstream_failed": "not reached: an upstream task failed",
    "skipped": "skipped",
    "removed": "removed",
}


@dataclass(frozen=True)
class Step:
    """A stage and its state.

    Attributes:
        stage: its name.
        sign: ✓, …, ✗ or a dash.
        text: its state.
    """

    stage: str
    sign: str
    text: str


@dataclass(frozen=True)
class InAirflow:
    """A run in Airflow: its state, and the state and start of every task."""

    state: str
    tasks: Mapping[str, tuple[str, str]]


@router.get("/runs/{dag_run_id:path}", response_class=HTMLResponse)
@asks_store()
def run(request: Request, _: Reader, dag_run_id: str, dag: str = DAG_ID) -> HTMLResponse:
    """Show the verdict with reasons, or the finished stages."""
    if dag not in (DAG_ID, ""):
        return render(
            request, "message.html.j2", title="No verdict", way_out=None, reload_after=None,
            message=f"Runs of {dag} have none: only those of {DAG_ID} train a model.",
        )  # fmt: skip
    airflow = _in_airflow(dag_run_id)
    # An id unknown to Airflow is a run of the command line, or the folder of a run, by which other pages refer to it.
    store, run_id = open_store(), folder_of(dag_run_id) if airflow else safe_run_id(dag_run_id)
    results, unreadable = _results(store, run_id)
    last = _last(results, airflow)
    verdict = last.verdict if last else None
    active = airflow.state in ACTIVE if airflow else False
    judged = results.get("evaluate")
    evaluated = dict(judged.outputs) if judged and judged.outputs.get("metrics") else {}
    previous = (last.outputs.get("previous") or {}) if last and verdict is Verdict.UNCHANGED else {}
    resolved = results["resolve_dataset"].outputs if "resolve_dataset" in results else {}
    # The Data Docs of the baseline check include those of validation, and the pairs of patches of its alarms.
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
        unreadable=unreadable,
        sentence=headline(evaluated["counts"]) if evaluated.get("counts") else None,
        measured=measured(evaluated["metrics"], evaluated.get("targets") or {}, evaluated.get("evidence"))
        if evaluated
        else [],
        dataset=str(resolved.get("dataset") or ""),
        dataset_version=resolved.get("version"),
        started=started(dag_run_id),
        report=evidence.report_key(store, run_id) if verdict else None,
        docs=docs,
        folder=f"runs/{run_id}/" if results else None,
        labels="audit_labels" in results and bool(results["audit_labels"].outputs.get("suspects")),
    )


def _results(store: Storage, run_id: str) -> tuple[dict[str, StageResult], list[str]]:
    """Return the results of the finished stages, in order, and of those whose result cannot be read what is wrong, and what to do."""
    run, unreadable = Run(store, run_id), []

    def find(stage: str) -> StageResult | None:
        try:
            return run.read_result(stage)
        except ResultDamaged:
            unreadable.append(f"The result of {stage} cannot be read; run that stage again.")
        except ResultUnreadable as error:
            unreadable.append(str(error))
        return None

    with ThreadPoolExecutor(len(STAGES)) as pool:
        found = dict(zip(STAGES, pool.map(find, STAGES), strict=True))
    return {stage: result for stage, result in found.items() if result is not None}, unreadable


def _last(results: Mapping[str, StageResult], airflow: InAirflow | None) -> StageResult | None:
    """Return the result that ends the run, unless Airflow is about to repeat its stage: then it is of an earlier attempt."""
    for stage, result in reversed(list(results.items())):
        again = airflow and airflow.tasks.get(stage, ("", ""))[0] in ("", *_AT_WORK) and airflow.state in ACTIVE
        if result.verdict is not None and not again:
            return result
    return None


def _steps(results: Mapping[str, StageResult], airflow: InAirflow | None, *, ended: bool) -> list[Step]:
    tasks = airflow.tasks if airflow else {}
    steps = []
    for stage in [*STAGES, *(task for task in tasks if task not in STAGES)]:
        state, since = tasks.get(stage, ("", ""))
        result = results.get(stage)
        if state in _AT_WORK:
            steps.append(Step(stage, "…", f"{_STATE_TEXTS[state]}{f' since {since} UTC' if since else ''}"))
        elif state in ("failed", "upstream_failed"):
            steps.append(Step(stage, "✗", _text(state, result)))
        elif result is not None:
            steps.append(Step(stage, "✓", _text("", result)))
        elif state == "success":
            steps.append(Step(stage, "✓", "finished"))
        elif state or not ended:
            steps.append(Step(stage, "–", _STATE_TEXTS.get(state, "not started" if airflow else "not finished")))
    return steps


def _may_be_at_work(results: Mapping[str, StageResult]) -> bool:
    """Return whether a run unknown to Airflow may still be running: its last result is younger than the longest stage takes."""
    if not results:
        return False
    try:
        last = max(datetime.fromisoformat(result.finished_at) for result in results.values())
        return datetime.now(UTC) - last < _LONGEST_STAGE
    except (ValueError, TypeError):
        return False


def _text(state: str, result: StageResult | None) -> str:
    if result is None:
        return _STATE_TEXTS[state]
    ends = {
        "done": "finished",
        "blocked": "blocked the run",
        "refused": "refused the model",
        "unchanged": "nothing to do",
    }
    return f"{ends[str(result.status)]} · {duration(result.seconds)} · {moment(result.finished_at)} UTC"


def _in_airflow(dag_run_id: str) -> InAirflow | None:
    """Return the state of a run of the DAG in Airflow's database."""
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
