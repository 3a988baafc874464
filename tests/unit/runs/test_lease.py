"""Of several processes that are asked for one run, one works on it; one that was killed is in nobody's way."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.runs.run import Run
from steel_training.storage import open_storage

SCRIPT = Path(__file__).with_name("hold_lease.py")
HERE, ELSEWHERE = "here", "another machine 1"
BEATS, SILENT = 0.05, 1e6


class Holder:
    """Another process that may work on the run."""

    def __init__(self, store: str, machine: str, heartbeat: float) -> None:
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(["steel_training.runs.run"])
        ears, self.mouth = forks.Pipe(duplex=False)
        self.ears, mouth = forks.Pipe(duplex=False)
        known = {"store": store, "machine": machine, "heartbeat": heartbeat, "environment": dict(os.environ)}
        known |= {"ears": ears, "mouth": mouth}
        self.process = forks.Process(target=runpy.run_path, args=(str(SCRIPT), known), daemon=True)
        self.process.start()

    def hears(self) -> str:
        assert self.ears.poll(300)
        answer: str = self.ears.recv()
        return answer

    def tell(self, word: str) -> str:
        self.mouth.send(word)
        return self.hears()

    def send(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.join()

    def end(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "folder" else f"{request.getfixturevalue('s3')}/store"


@pytest.fixture
def start(store: str) -> Iterator[Callable[..., Holder]]:
    started = []

    def one(machine: str = HERE, heartbeat: float = BEATS) -> Holder:
        started.append(holder := Holder(store, machine, heartbeat))
        return holder

    yield one
    for holder in started:
        holder.end()


def lease_of(store: str) -> dict:
    found: dict = open_storage(store).read_json("leases/night.json")
    return found


@pytest.mark.parametrize("machine", [HERE, ELSEWHERE])
def test_second_process_is_told_who_works_on_the_run(store: str, start: Callable[..., Holder], machine: str) -> None:
    first, second = start(), start(machine)
    assert (first.tell("take"), first.tell("take")) == ("held", "had")
    told = second.tell("take")
    assert told.startswith("RunBusy: Run night is being worked on by process")
    for known in (
        str(first.process.pid),
        "fine_tune",
        lease_of(store)["since"],
        "Wait until it ends",
        "another run id",
    ):
        assert known in told
    assert second.tell("work").startswith("RunBusy"), "nothing is committed either"
    assert (first.tell("work"), first.tell("release"), second.tell("take")) == ("done", "released", "held")


@pytest.mark.parametrize("machine", [HERE, ELSEWHERE])
def test_killed_holder_is_in_nobodys_way(store: str, start: Callable[..., Holder], machine: str) -> None:
    first, second = start(), start(machine)
    first.tell("take")
    first.send(signal.SIGKILL)
    assert second.tell("take") == "held"
    assert (lease_of(store)["pid"], lease_of(store)["released"]) == (second.process.pid, False)


def test_overtaken_process_commits_nothing(store: str, start: Callable[..., Holder]) -> None:
    first, second = start(), start(ELSEWHERE)
    assert first.tell("take") == "held"
    first.send(signal.SIGSTOP)
    assert second.tell("take") == "held"
    first.send(signal.SIGCONT)
    assert first.tell("work").startswith("LeaseLost: Another process has taken over run night")
    assert Run(open_storage(store), "night").find_result("decide") is None
    assert second.tell("work") == "done"


def test_of_several_processes_one_gets_the_run(store: str, start: Callable[..., Holder]) -> None:
    holders = [start(heartbeat=SILENT) for _ in range(5)]
    for round_ in range(4):
        for holder in holders:
            holder.mouth.send("take")
        answers = [holder.hears() for holder in holders]
        won = [holder for holder, answer in zip(holders, answers, strict=True) if answer == "held"]
        assert len(won) == 1, answers
        assert all(answer.startswith("RunBusy") for answer in answers if answer != "held")
        if round_ % 2:
            won[0].send(signal.SIGKILL)
        else:
            assert won[0].tell("release") == "released"
        holders.remove(won[0])


def test_commands_need_the_lease_and_give_it_back(
    tmp_path: Path, make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = make_dataset(tmp_path / "data", patches=60), str(tmp_path / "store")
    words = ["resolve_dataset", "--run-id", "night", "--store", store, "--dataset", str(data)]
    holder = Holder(store, HERE, BEATS)
    try:
        assert holder.tell("take") == "held"
        for command in (words, ["run", str(data), "--run-id", "night", "--store", store]):
            assert main(command) == 1
            assert f"is being worked on by process {holder.process.pid}" in capsys.readouterr().err
        assert Run(open_storage(store), "night").find_result("resolve_dataset") is None
        holder.send(signal.SIGKILL)
        assert main(words) == 0
    finally:
        holder.end()
    assert lease_of(store)["released"]
    assert main(["decide", "--run-id", "night", "--store", store]) == 2
    assert main(words) == 0, "a result that is there needs no lease"
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"] == "done"


def test_wrong_use_leaves_no_lease(tmp_path: Path) -> None:
    assert main(["decide", "--run-id", "night", "--store", str(tmp_path / "store")]) == 2
    assert not (tmp_path / "store").exists()


def test_damaged_lease_is_replaced(store: str, start: Callable[..., Holder]) -> None:
    for damaged in (b"", b"[]", b'{"pid": "x"}', b"\xff"):
        open_storage(store).write("leases/night.json", damaged)
        holder = start()
        assert holder.tell("take") == "held"
        holder.send(signal.SIGKILL)
