"""A store that hangs costs the models page its answers, and nothing else of Airflow; when it answers, the page is back."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from steel_training.registry import Registry
from steel_training.storage import FolderStorage, OutcomeUnknown, RequestLimits, StorageUnavailable, open_storage

from .conftest import publish
from .test_actions import AA, BB, confirmation, logged

_SPEC = importlib.util.spec_from_file_location(
    "failing_road", Path(__file__).parents[2] / "unit" / "storage" / "failing_road.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
failing_road = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(failing_road)

PAGE = "/steel-training/"
OF_AIRFLOW = ("/api/v2/version", "/api/v2/dags", "/api/v2/monitor/health")
AT_ONCE = 90  # more than may wait for a thread of the page
ROUNDS = 10
ONLY_S3 = pytest.mark.parametrize("any_store", ["s3"], indirect=True)


class Hanging:
    """A store that hangs while `silent` is set. `asked` counts what reached it."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0

    def silence(self) -> None:
        self.answers.clear()

    def release(self) -> None:
        self.answers.set()


class HangingS3(Hanging):
    """An S3 service that accepts connections and requests, and stays silent."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.road = failing_road.FailingRoad(address)
        self.fault: Callable[[str, str], str] = lambda method, path: ""
        self.road.choose = self._choose

    def _choose(self, method: str, path: str) -> str:
        self.asked += 1
        return self.fault(method, path) if self.answers.wait(600) else ""


class HangingFolder(Hanging):
    """A folder in which the champion's file cannot be read and no thread that tries can be interrupted: a pipe without a writer."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._content = file.read_bytes()

    def silence(self) -> None:
        super().silence()
        self._file.unlink()
        os.mkfifo(self._file)

    def release(self) -> None:
        if self.answers.is_set():
            return
        super().release()
        with contextlib.suppress(OSError):  # nobody waits
            os.close(os.open(self._file, os.O_WRONLY | os.O_NONBLOCK))  # those that wait read an empty file
        self._file.unlink()
        self._file.write_bytes(self._content)


@pytest.fixture
def direct(any_store: Any, tmp_path: Path) -> Registry:
    """The registry behind the page, by a way that never hangs: two versions, of which the first is champion."""
    for version in (AA, BB):
        publish(any_store, tmp_path, version)
    registry = Registry(any_store, "steel-defects")
    registry.promote(AA)
    return registry


@pytest.fixture
def hanging(direct: Registry, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """The store of `direct` as the API server sees it."""
    monkeypatch.setattr("models_page.store_access.PAUSE_SECONDS", 2.0)
    found: Hanging
    if isinstance(direct.store, FolderStorage):
        found = HangingFolder(direct.store.path("models/steel-defects/champion.json"))
    else:
        direct.champion()  # by the direct way, before the address changes
        found = HangingS3(request.getfixturevalue("s3_address"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.road.address)
    yield found
    found.release()
    if isinstance(found, HangingS3):
        found.road.close()


@pytest.mark.timeout(300)
def test_silent_store_leaves_airflow_responsive(
    direct: Registry, hanging: Hanging, browser: Callable[..., httpx.Client], wait_until: Callable[..., Any]
) -> None:
    viewer, admin = browser("viewer"), browser("admin")
    assert viewer.get(PAGE).status_code == 200
    hanging.silence()
    with ThreadPoolExecutor(AT_ONCE) as visitors:
        pages = [visitors.submit(viewer.get, PAGE) for _ in range(AT_ONCE)]
        try:
            wait_until(lambda: any(page.running() for page in pages), "a request of the page that is sent")
            for _ in range(ROUNDS):  # all of them before the first page gives up the store: it takes 10 s
                for path in OF_AIRFLOW:
                    assert admin.get(path, timeout=60).status_code == 200, path
            answers = [page.result(120) for page in pages]
        finally:
            hanging.release()
    assert {answer.status_code for answer in answers} == {503}
    for answer in answers:
        assert 1 <= int(answer.headers["retry-after"]) <= 15
        assert direct.store.uri in answer.text
    assert sum("has not answered since" in answer.text for answer in answers) >= 1
    if isinstance(hanging, HangingS3):
        assert hanging.asked < AT_ONCE / 2, "requests that were answered without asking the store"
    shown = wait_until(lambda: (page := viewer.get(PAGE)).status_code == 200 and page.text, "a page that is back")
    assert AA in shown


@ONLY_S3
def test_after_a_timeout_the_store_is_left_alone_for_a_while(
    direct: Registry, hanging: HangingS3, browser: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models_page.store_access.PAUSE_SECONDS", 3600.0)
    admin = browser("admin")
    given = confirmation(admin, f"{PAGE}versions/{BB}")
    hanging.silence()
    assert admin.get(PAGE).status_code == 503
    asked = hanging.asked
    for path in (PAGE, f"{PAGE}versions/{AA}", f"{PAGE}files/runs/", f"{PAGE}runs/run-1"):
        answer = admin.get(path)
        assert answer.status_code == 503
        assert direct.store.uri in answer.text
        reloads = f'http-equiv="refresh" content="{answer.headers["retry-after"]}"' in answer.text
        assert reloads is ("/files/" not in path)
    answer = admin.post(f"{PAGE}versions/{BB}/promote", data={"confirmation": given, "confirmed": "yes"})
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.text
    assert hanging.asked == asked
    stranger = browser().get(f"{PAGE}open/forged/runs/run-1/report.html")
    assert stranger.status_code == 401
    assert direct.store.uri not in stranger.text


@ONLY_S3
def test_a_refusal_of_the_store_is_an_answer(
    direct: Registry, hanging: HangingS3, browser: Callable[..., httpx.Client]
) -> None:
    viewer = browser("viewer")
    hanging.fault = lambda method, path: "skewed"
    assert "clock is wrong" in viewer.get(PAGE).text
    hanging.fault = lambda method, path: ""
    assert viewer.get(PAGE).status_code == 200, "asked again at once"


@ONLY_S3
def test_a_promotion_without_an_answer_is_told_as_unknown(
    direct: Registry, hanging: HangingS3, browser: Callable[..., httpx.Client]
) -> None:
    admin, sent = browser("admin"), []
    given = confirmation(admin, f"{PAGE}versions/{BB}")

    def fault(method: str, path: str) -> str:
        sent.extend([path] if method == "PUT" else [])
        return ("lost after" if method == "PUT" else "lost before") if sent else ""

    hanging.fault = fault
    answer = admin.post(f"{PAGE}versions/{BB}/promote", data={"confirmation": given, "confirmed": "yes"})
    assert answer.status_code == 504
    assert "It is unknown whether the champion of steel-defects has moved" in answer.text
    assert "retry-after" not in answer.headers
    assert logged()[3]["outcome"].startswith("unknown: ")
    assert direct.champion()[0] == BB


def test_many_pictures_at_once_are_all_served(tmp_path: Path) -> None:
    from models_page.store_access import StoreAccess

    slow = threading.Event()
    access = StoreAccess(FolderStorage(tmp_path))

    async def fetch_all() -> list[bool]:
        pictures = [asyncio.ensure_future(access.answer(lambda: slow.wait(600), 600)) for _ in range(48)]
        await asyncio.sleep(0)  # each of them has asked for a thread
        slow.set()
        return await asyncio.gather(*pictures)

    assert asyncio.run(fetch_all()) == [True] * 48


def test_slow_s3_is_not_taken_for_silent() -> None:
    from models_page.store_access import StoreAccess, StoreNotAsked

    released = threading.Event()
    access = StoreAccess(open_storage("s3://steel/slow"))
    try:
        with pytest.raises(StoreNotAsked, match="is slow: this took longer than"):
            asyncio.run(access.answer(lambda: released.wait(600), 0.1))
        assert asyncio.run(access.answer(lambda: "page", 600)) == "page"
    finally:
        released.set()


def test_an_endpoint_that_goes_on_has_an_unknown_outcome(tmp_path: Path) -> None:
    from models_page.store_access import StoreAccess, StoreNotAsked

    released, moved = threading.Event(), threading.Event()

    def move() -> None:
        released.wait(600)
        moved.set()

    access = StoreAccess(FolderStorage(tmp_path))
    try:
        with pytest.raises(OutcomeUnknown, match=r"unknown whether .* audit log"):
            asyncio.run(access.answer(move, 0.1, moves=True))
        with pytest.raises(StoreNotAsked, match="has not answered since"):
            asyncio.run(access.answer(move, 0.1, moves=True))
    finally:
        released.set()
    assert moved.wait(60)


def test_one_request_at_a_time_asks_a_silent_store_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models_page.store_access import StoreAccess, StoreNotAsked

    monkeypatch.setattr("models_page.store_access.PAUSE_SECONDS", 0.0)
    asked, answers = [], threading.Event()

    class Store(FolderStorage):
        def folders(self, prefix: str = "") -> list[str]:
            asked.append(prefix)
            answers.wait(600)
            return super().folders(prefix)

    def unreachable() -> None:
        raise StorageUnavailable("no route to the store.")

    access = StoreAccess(Store(tmp_path))

    async def ask_together() -> list[Any]:
        first = asyncio.ensure_future(access.answer(lambda: "page", 600))
        while not asked:
            await asyncio.sleep(0.01)
        others = [access.answer(lambda: "page", 600) for _ in range(20)]
        refused = await asyncio.gather(*others, return_exceptions=True)
        answers.set()
        return [*refused, await first, await access.answer(lambda: "page", 600)]

    with pytest.raises(StoreNotAsked, match="no route to the store"):
        asyncio.run(access.answer(unreachable, 600))
    *refused, first, later = asyncio.run(ask_together())
    assert {type(each) for each in refused} == {StoreNotAsked}
    assert (first, later) == ("page", "page")
    assert len(asked) == 1


def test_stages_keep_their_long_retries(s3: str) -> None:
    from models_page.store import LIMITS

    of_stage, of_page = open_storage(f"{s3}/x"), open_storage(f"{s3}/x", LIMITS)
    found = [storage.client.meta.config for storage in (of_stage, of_page)]  # type: ignore[attr-defined]
    for limits, config in zip((RequestLimits(), LIMITS), found, strict=True):
        assert config.connect_timeout == limits.connect_seconds
        assert config.read_timeout == limits.read_seconds
        assert config.retries["total_max_attempts"] == limits.attempts
    assert found[0].read_timeout > 5 * found[1].read_timeout
