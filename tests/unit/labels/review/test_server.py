"""`steel-training labels review` as a real process: it serves who knows the address, and nobody else."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.labels.answers import FOLDER, Said, read_answers
from steel_training.labels.review.review import Review
from steel_training.labels.review.server import serve_review
from steel_training.storage import open_storage

from .conftest import SUSPECTS


class Opened(Exception):
    """The page was reached."""


class Reviewer:
    """A started review, and what its page does."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address
        self.origin = "/".join(address.split("/")[:3])
        self.client = httpx.Client(base_url=address, timeout=300, trust_env=False)

    def post(self, path: str, body: Any, **headers: str | None) -> httpx.Response:
        sent = {"Origin": self.origin, "Content-Type": "application/json"} | headers
        kept = {name: value for name, value in sent.items() if value is not None}
        return self.client.post(path, content=json.dumps(body), headers=kept)

    def queue(self) -> dict:
        return self.client.get("queue").json()

    def answer(self, name: str, said: str = "clean") -> dict:
        answer = self.post("answer", {"name": name, "said": said, "seconds": 1.5})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stop(self) -> dict:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=120)
        return json.loads(out.splitlines()[-1])


@pytest.fixture
def start(
    data: Path, audit_file: Path, tmp_path: Path, start_review: Callable[..., Any]
) -> Iterator[Callable[..., Reviewer]]:
    """Starts a review: start("Ada", "--blind")."""
    started: list[Reviewer] = []

    def start(name: str = "Ada", *options: str) -> Reviewer:
        words = [str(data.parent), "--store", str(tmp_path / "store"), "--reviewer", name, "--audit", str(audit_file)]
        started.append(Reviewer(*start_review(*words, *options)))
        return started[-1]

    yield start
    for each in started:
        each.client.close()


def test_a_person_answers_and_stops(start: Callable[..., Reviewer], tmp_path: Path, data: Path) -> None:
    page = start("Ada <script>")
    html = page.client.get("")
    assert html.status_code == 200
    assert "Is this patch defective?" in html.text
    assert not re.search(r"(src|href)=\"https?:", html.text), "nothing comes from elsewhere"
    assert "default-src 'none'" in html.headers["Content-Security-Policy"]
    assert "Ada" not in html.text, "names come as data, not as HTML"
    queue = page.queue()
    assert queue["about"]["reviewer"] == "Ada <script>"
    assert [item["patch_id"] for item in queue["items"]] == SUSPECTS[:3]
    picture = page.client.get(f"pictures/{queue['items'][0]['picture']}")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")
    after = page.answer(queue["items"][0]["name"], "cannot_tell")
    assert (after["answered"], after["can_undo"]) == (1, True)
    again = page.post("answer", {"name": queue["items"][0]["name"], "said": "clean", "seconds": 1})
    assert (again.status_code, "already" in again.json()["error"]) == (409, True)
    assert page.post("undo", {}).json()["answered"] == 0
    page.answer(queue["items"][0]["name"], "defective")
    assert page.stop() == {"dataset": str(data), "answered": 1, "total": 3}
    said = [answer.said for answer in read_answers(open_storage(tmp_path / "store"))]
    assert said == [Said.CANNOT_TELL, Said.UNDO, Said.DEFECTIVE]


def test_answers_make_a_new_version(start: Callable[..., Reviewer], tmp_path: Path, data: Path) -> None:
    page = start()
    first = page.queue()["items"][0]
    page.answer(first["name"], "clean")
    words = ["labels", "apply", str(data.parent), "--store", str(tmp_path / "store"), "--date", "2026-01-02"]
    assert main([*words, "--set", "data.val_share=0.2"]) == 0
    record = pd.read_csv(data.parent / "2026-01-02" / "corrections.csv")
    assert record[["patch_id", "was", "label", "by"]].to_numpy().tolist() == [["p0003", 1, 0, "Ada"]]


def test_others_and_other_pages_are_refused(start: Callable[..., Reviewer], tmp_path: Path) -> None:
    page = start()
    name = page.queue()["items"][0]["name"]
    body = {"name": name, "said": "clean", "seconds": 1}
    for headers in (
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": page.origin.replace("127.0.0.1", "localhost")},
        {"Content-Type": "text/plain"},
        {"Content-Type": None},
        {"Host": "elsewhere.example"},
    ):
        assert page.post("answer", body, **headers).status_code == 403, headers
        assert page.post("undo", {}, **headers).status_code == 403, headers
    for path in ("", "queue", f"pictures/{name}"):
        assert page.client.get(path, headers={"Host": "elsewhere.example"}).status_code == 403
        assert page.client.get(f"{page.origin}/guessed/{path}").status_code == 403
    assert httpx.get(f"{page.origin}/", trust_env=False).status_code == 404
    assert page.client.get("answer").status_code == 405
    assert not (tmp_path / "store" / FOLDER).exists(), "nothing was recorded"
    address = re.sub(r"//127\.0\.0\.1", "//localhost", page.origin)
    assert page.post("answer", body, Host=address[7:], Origin=address).status_code == 200


def test_page_can_be_opened_as_soon_as_its_address_is_told(begin: Callable[..., Review]) -> None:
    """It was refused for a moment: the address was printed before the server listened."""

    def open_page(address: str) -> None:
        page = urlsplit(address)
        socket.create_connection((page.hostname, page.port), timeout=60).close()
        raise Opened

    with pytest.raises(Opened):
        serve_review(begin(), "Ada", 0, open_page)


def test_connection_stays_open_while_a_person_looks(start: Callable[..., Reviewer]) -> None:
    """An answer on a connection that the server closes at that moment would be lost."""
    page = start()
    connection = http.client.HTTPConnection(page.origin.removeprefix("http://"))
    path = page.address.removeprefix(page.origin)
    connection.request("GET", f"{path}queue")
    assert connection.getresponse().read()
    used = connection.sock
    time.sleep(6)  # servers close after five, as a rule
    used.settimeout(0.5)
    with pytest.raises(TimeoutError):
        used.recv(1)  # nothing, and not the end


def test_what_the_page_would_not_send_is_refused(start: Callable[..., Reviewer], tmp_path: Path) -> None:
    page = start()
    good = {"name": page.queue()["items"][0]["name"], "said": "clean", "seconds": 1}
    bad: list[Any] = [[], None, "x", {}, {**good, "said": "undo"}, {**good, "said": "maybe"}, {**good, "seconds": -1}]
    bad += [
        {**good, "seconds": "NaN"},
        {**good, "seconds": float("nan")},
        {**good, "name": 7},
        {**good, "name": "x" * 20_000},
    ]
    for body in bad:
        answer = page.post("answer", body)
        assert (answer.status_code, "nothing was recorded" in answer.json()["error"]) == (409, True), body
    assert page.post("undo", []).status_code == 409
    assert page.post("undo", {}).json()["error"] == "There is no answer to take back."
    assert page.client.get("pictures/p0003").status_code == 404
    assert not (tmp_path / "store" / FOLDER).exists()


def test_two_reviewers_at_once_lose_nothing(start: Callable[..., Reviewer], tmp_path: Path) -> None:
    def read_all(page: Reviewer) -> None:
        queue = page.queue()
        while queue["items"]:
            queue = page.answer(queue["items"][0]["name"])

    pages = [start(name, "--blind", "--controls", "100") for name in ("Ada", "Ben")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read_all, pages))
    answers = read_answers(open_storage(tmp_path / "store"))
    assert len(answers) == len({(answer.by, answer.patch_id) for answer in answers}) == 120
    assert {answer.by for answer in answers} == {"Ada", "Ben"}


def test_a_killed_server_has_stored_every_answer(start: Callable[..., Reviewer], tmp_path: Path) -> None:
    page = start("Ada", "--blind", "--controls", "100")
    queue, told = page.queue(), []
    for _ in range(5):
        told.append(queue["items"][0]["name"])
        queue = page.answer(told[-1])
    page.process.kill()
    assert len(read_answers(open_storage(tmp_path / "store"))) == 5
    assert start("Ada", "--blind", "--controls", "100").queue()["answered"] == 5


def test_an_answer_that_cannot_be_stored_is_not_counted(start: Callable[..., Reviewer], tmp_path: Path) -> None:
    page = start()
    item = page.queue()["items"][0]
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "labels").write_text("a file where the folder of answers belongs")
    answer = page.post("answer", {"name": item["name"], "said": "clean", "seconds": 1})
    assert answer.status_code == 503, answer.text
    (tmp_path / "store" / "labels").unlink()
    assert page.queue()["answered"] == 0
    assert page.answer(item["name"])["answered"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "1.5"], "--port"),
        (["--port", "70000"], "--port"),
        (["--controls", "-1"], "--controls"),
        (["--reviewer", " "], "is no name"),
        ([], "Give --audit"),
    ],
)
def test_wrong_use_is_explained(
    words: list[str], said: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["labels", "review", str(data), "--store", str(tmp_path / "store"), "--reviewer", "Ada", *words]
    assert main(command) == 2
    assert said in capsys.readouterr().err


def test_a_taken_port_is_named(
    start: Callable[..., Reviewer], data: Path, audit_file: Path, tmp_path: Path, capsys
) -> None:
    port = start().origin.rpartition(":")[2]
    command = ["labels", "review", str(data), "--store", str(tmp_path / "store"), "--reviewer", "Ada"]
    assert main([*command, "--audit", str(audit_file), "--port", port]) == 2
    assert f"Port {port} cannot be used" in capsys.readouterr().err
