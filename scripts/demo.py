"""`make demo`: one run of the DAG over a sample dataset, from patches to a verdict.

Creates the dataset and an Airflow below `var/` (once), runs the DAG with `airflow dags test`, shows the output of the stages,
and ends with the verdict, its reasons, the metrics and targets, and the report. Airflow's own log goes to
`var/demo/airflow.log`.

Exit code: 0 for a verdict (published or rejected), 1 where the run failed or was blocked.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time

from airflow_home import DAG_ID, ROOT, SAMPLE, AirflowHome, PreparationFailed, conf_of

HOME = AirflowHome(ROOT / "var" / "demo")
CONFIG = ROOT / "configs" / "demo.yaml"
OPERATOR_LOGGER = "airflow.task.operators.steel_training_airflow"
FAILED_STATES = {"failed", "up_for_retry"}
# Messages that TensorFlow prints at every start whatever its log level; they are kept in the log file.
NOISE = re.compile(r"WARNING: All log messages before absl|[IWE]0000 |fully_quantize: |INFO: Created TensorFlow Lite")


class Show:
    """Condenses Airflow's log into a few lines, and records what the final summary needs."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.stages_seconds = 0.0
        self.run_id = ""
        self.failed = False
        self._stage_started = 0.0

    def show_line(self, raw: str) -> None:
        """Show one line of Airflow's log (JSON), or keep it for the log file only."""
        try:
            entry = json.loads(raw)
        except ValueError:
            return
        event = str(entry.get("event", ""))
        if NOISE.match(event):
            return
        if str(entry.get("logger", "")).startswith(OPERATOR_LOGGER):
            self._show_stage_line(event, str(entry.get("level", "")))
        elif entry.get("new_state") in FAILED_STATES:
            self.failed = True
        elif event == "Task failed with exception":
            for error in entry.get("exception") or entry.get("error_detail") or []:
                if isinstance(error, dict):
                    self.say(f"  {error.get('exc_value', '')}")

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{minutes:2d}:{seconds:02d}  {text}", flush=True)

    def _show_stage_line(self, event: str, level: str) -> None:
        if event.startswith("Running: "):
            words = shlex.split(event.removeprefix("Running: "))
            self.run_id = words[words.index("--run-id") + 1]
            self._stage_started = time.monotonic()
            return
        if event.endswith(" s") and ": " in event and self._stage_started:
            self.stages_seconds += time.monotonic() - self._stage_started
            self._stage_started = 0.0
            return
        event = event.splitlines()[0] if event else ""  # the stage has printed the reasons already
        text = event[9:] if event[2:3] == ":" and event[5:6] == ":" else event  # the stage's own clock
        mark = "" if text.startswith("[") else "   "
        self.say(f"{mark}{'! ' if level == 'warning' else ''}{text}")


def main() -> int:
    """Run the demo."""
    show = Show()
    try:
        if HOME.make_sample():
            show.say(f"sample dataset made: {SAMPLE.relative_to(ROOT)}")
        show.say("Airflow: preparing its database below var/demo (the first time only)")
        HOME.prepare()
    except PreparationFailed as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    conf = conf_of(CONFIG, **{"publish.force": True})
    command = ["airflow", "dags", "test", DAG_ID, "--conf", json.dumps(conf)]
    show.say("airflow dags test steel_training (Airflow takes about half a minute to start)")
    started = time.monotonic()
    code = _follow(command, show)
    wall = time.monotonic() - started
    if not show.run_id:
        print(f"make demo: Airflow ended with {code} before the first stage; see {HOME.log}.", file=sys.stderr)
        return 1
    published_or_rejected = _print_verdict(show)
    print(f"Run {show.run_id}: {wall:.0f} s, of which Airflow {wall - show.stages_seconds:.0f} s. Its log: {HOME.log}")
    return 0 if published_or_rejected and code == 0 else 1


def _follow(command: list[str], show: Show) -> int:
    """Run Airflow and show its output; end it at the first failed task instead of waiting for its retries."""
    environment = HOME.environment(logging__json_logs="True")
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    try:
        with open(HOME.log, "a", encoding="utf-8") as log:
            for line in process.stdout or ():
                log.write(line)
                show.show_line(line)
                if show.failed:
                    break
    finally:
        if process.poll() is None:
            HOME.stop(process)
    code = process.wait()
    return 1 if show.failed else code


def _print_verdict(show: Show) -> bool:
    """Print the verdict as the command line would; return whether there is one."""
    from steel_training.report.summary import conclude
    from steel_training.runs.result import STAGES, Status
    from steel_training.runs.run import Run
    from steel_training.storage import open_storage
    from steel_training.verdict import Verdict

    run = Run(open_storage(HOME.store), show.run_id)
    last = next((result for stage in reversed(STAGES) if (result := run.find_result(stage)) is not None), None)
    if last is None or (last.status is Status.DONE and "verdict" not in last.outputs):
        print(f"\nThe run failed after {last.stage if last else 'nothing'}; see {HOME.log}.", file=sys.stderr)
        return False
    conclusion = conclude(run, last)
    print(f"\n{conclusion.as_text()}")
    return conclusion.verdict in (Verdict.PUBLISHED, Verdict.REJECTED)


if __name__ == "__main__":
    sys.exit(main())
