"""The list of verdicts tells at a glance what serves and what was refused, and stays right when the store changes."""

from __future__ import annotations

import re
from pathlib import Path

from steel_training.registry import Registry
from steel_training.verdict import Reason, Verdict

from .conftest import HOSTILE, Markup, decide, publish

PAGE = "/steel-training/"


def test_verdicts_are_listed_newest_first(any_store, browser, tmp_path):
    publish(any_store, tmp_path, "20261124-aa", run_id="backfill__2026-11-20T00-00-00-x")
    publish(any_store, tmp_path, "20261124-bb")
    decide(any_store, "manual__2", Verdict.REJECTED)
    decide(
        any_store, "asset_triggered__3", Verdict.BLOCKED, metrics={}, reasons=[Reason("data.decode_error", "2 files")]
    )
    registry = Registry(any_store, "steel-defects")
    registry.promote("20261124-aa")
    registry.promote("20261124-bb")
    any_store.remove_folder("models/steel-defects/versions/20261124-aa", first="checksums.json")

    answer = browser("viewer").get(PAGE)
    assert answer.status_code == 200
    page = Markup(answer.text)
    assert re.findall(r"(?:■|✗|✓|–) (blocked|rejected|published|pruned)", page.text) == [
        "blocked", "rejected", "published", "pruned",
    ]  # fmt: skip
    for told in ("data.decode_error", "recall of manual__2", "0.9100", "✗ not met ≥ 0.95", "✓ met ≥ 0.9", "2026-11-20",
                 "backfill", "new data", "by hand"):  # fmt: skip
        assert told in page.text, told
    assert "Champion 20261124-bb since" in page.text
    assert "All 4" in page.text


def test_verdicts_are_filtered_and_paged(folder_store, browser):
    for number in range(120):
        decide(folder_store, f"run-{number:03d}", Verdict.REJECTED if number % 2 else Verdict.BLOCKED)
    viewer = browser("viewer")
    runs = [f"recall of run-{number:03d}" for number in reversed(range(120))]

    def shown(query: str) -> list[str]:
        return re.findall(r"recall of run-\d{3}", Markup(viewer.get(PAGE + query).text).text)

    assert shown("") == runs[:50]
    assert shown("?page=3") == runs[100:]
    assert shown("?verdict=rejected&page=2") == runs[0::2][50:]
    assert shown("?verdict=blocked") == runs[1::2][:50]
    assert shown("?page=99") == runs[100:]
    assert shown("?page=-1") == shown("?page=x") == shown("?verdict=nonsense") == runs[:50]


def test_what_changes_in_the_store_is_seen_at_the_next_look(any_store, browser, tmp_path):
    viewer = browser("viewer")
    assert "No run of steel-defects has ended in a verdict yet" in viewer.get(PAGE).text
    decide(any_store, "run-1", Verdict.REJECTED)
    assert "✗</span> Rejected 1" in viewer.get(PAGE).text
    decide(any_store, "run-1", Verdict.BLOCKED)  # a run done again replaces its verdict
    assert "■</span> Blocked 1" in viewer.get(PAGE).text
    any_store.write("models/steel-defects/decisions/run-2.json", b"{torn")
    assert "run-2.json cannot be read" in viewer.get(PAGE).text
    decide(any_store, "run-2", Verdict.REJECTED)
    assert "cannot be read" not in viewer.get(PAGE).text
    publish(any_store, tmp_path, "20261124-aa")
    any_store.remove_folder("models/steel-defects/decisions", first="run-1.json")
    text = Markup(viewer.get(PAGE).text).text
    assert "All 1" in text, "a version without a record is shown"
    assert "? no record" in text


def test_several_models_of_a_store_are_chosen_from(folder_store, browser, tmp_path):
    publish(folder_store, tmp_path, "20261124-aa")
    publish(folder_store, tmp_path, "20261124-zz", name="coil-edges")
    viewer = browser("viewer")
    page = Markup(viewer.get(PAGE).text)
    assert {a.get("value") for tag, a in page.elements if tag == "option"} == {"steel-defects", "coil-edges"}
    assert "20261124-zz" not in page.text
    assert "20261124-zz" in viewer.get(PAGE, params={"model": "coil-edges"}).text
    assert viewer.get("/steel-training/versions/20261124-zz").status_code == 200, "found without its model's name"
    assert viewer.get(PAGE, params={"model": "../../etc"}).status_code == 400


def test_compare_page_warns_if_test_splits_differ(any_store, browser, tmp_path):
    publish(any_store, tmp_path, "20261124-aa", test_part="part-1")
    publish(any_store, tmp_path, "20261124-bb", test_part="part-1", metrics={"recall": {"value": 0.99, "bound": 0.9}})
    publish(any_store, tmp_path, "20261124-cc", test_part="part-2")
    viewer = browser("viewer")
    same = Markup(viewer.get("/steel-training/compare?a=20261124-aa&b=20261124-bb").text)
    assert "+0.0200" in same.text
    assert "Warning" not in same.text
    assert "the test splits differ" in viewer.get("/steel-training/compare?a=20261124-aa&b=20261124-cc").text
    assert viewer.get("/steel-training/compare?a=20261124-aa&b=gone").status_code == 404


def test_nothing_of_the_store_becomes_code_on_the_page(folder_store, browser, tmp_path):
    publish(
        folder_store, tmp_path, "20261124-aa", dataset=HOSTILE, code=HOSTILE, reproduce=HOSTILE,
        reasons=[{"code": HOSTILE, "message": HOSTILE}], packages={HOSTILE: HOSTILE},
        threshold={"value": 0.5, "note": HOSTILE}, weights={"detail": HOSTILE},
    )  # fmt: skip
    publish(folder_store, tmp_path, "20261124-bb", dataset=HOSTILE)
    decide(folder_store, "run-1", reasons=[Reason(HOSTILE, HOSTILE)], dataset=HOSTILE, dataset_version=HOSTILE)
    folder_store.write("models/steel-defects/decisions/<img src=x onerror=alert(1)>.json", b"[")
    Registry(folder_store, "steel-defects").promote("20261124-aa")
    client = browser("admin")
    for path in (
        PAGE,
        f"{PAGE}?verdict={HOSTILE}&page={HOSTILE}",
        "/steel-training/versions/20261124-aa",
        "/steel-training/compare?a=20261124-aa&b=20261124-bb",
        f"/steel-training/compare?a={HOSTILE}&b=x",
        f"/steel-training/versions/{HOSTILE.replace('/', '%2F').replace('<', '%3C')}",
        f"/steel-training/runs/{HOSTILE}",
        f"/steel-training/runs/x?dag={HOSTILE}",
        f"/steel-training/files/runs/{HOSTILE}",
        f"{PAGE}?model={HOSTILE}",
    ):
        answer = client.get(path)
        assert answer.status_code < 500, path
        assert Markup(answer.text).active == [], path
        assert re.search(
            r"default-src 'none'; .*script-src 'sha256-[^' ]+';", answer.headers["content-security-policy"]
        )
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_store_that_is_not_there_is_told_in_words(browser, monkeypatch, tmp_path):
    viewer = browser("viewer")
    monkeypatch.delenv("STEEL_TRAINING_STORE", raising=False)
    answer = viewer.get(PAGE)
    assert answer.status_code == 503
    assert "STEEL_TRAINING_STORE is not set" in answer.text
    monkeypatch.setenv("STEEL_TRAINING_STORE", "s3://steel-unreachable/x")
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "key",
                        "AWS_SECRET_ACCESS_KEY": "planted-secret"}.items():  # fmt: skip  # pragma: allowlist secret
        monkeypatch.setenv(name, value)
    answer = viewer.get(PAGE)
    assert answer.status_code == 503
    assert "S3 cannot be reached" in answer.text
    assert "planted-secret" not in answer.text
    monkeypatch.setenv("STEEL_TRAINING_STORE", str(tmp_path / "nobody made this"))
    assert "has ended in a verdict yet" in viewer.get(PAGE).text


def test_unreadable_pointer_does_not_hide_verdicts(folder_store, browser, tmp_path: Path):
    publish(folder_store, tmp_path, "20261124-aa")
    folder_store.write("models/steel-defects/champion.json", b"{}")
    answer = browser("admin").get(PAGE)
    assert answer.status_code == 200
    assert "champion.json of steel-defects cannot be read" in Markup(answer.text).text
    assert "20261124-aa" in answer.text
