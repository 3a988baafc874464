"""The page *Labels* in Airflow: who may trigger the DAG answers in their own name, and only what a run audited is shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.labels.answers import FOLDER, Said, read_answers
from steel_training.labels.review.made_sheet import all_patches, sheet_of, with_pictures
from steel_training.labels.review.sheet import REVIEW_SHEET
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run

from .conftest import HOSTILE, Markup, decide

LABELS = "/steel-training/labels/"
WORST = ["p0003", "p0010", "p0021"]


@pytest.fixture
def data(tmp_path, make_dataset, monkeypatch) -> Path:
    folder = make_dataset(tmp_path / "data" / "2026-01-01", patches=60)
    monkeypatch.setenv("STEEL_TRAINING_ROOTS", str(tmp_path / "data"))
    return folder


def audited(store, data, run_id="manual__1", **changed) -> str:
    """Leaves what the stage leaves: three doubtful labels, the last one in the test split."""
    manifest = pd.read_csv(data / "manifest.csv")
    quality = [0.1 if name in WORST else 0.99 for name in manifest["patch_id"]]
    split = ["test" if name == WORST[-1] else "train" for name in manifest["patch_id"]]
    table = manifest.assign(suggested=1 - manifest["label"], quality=quality, score=0.5, split=split)
    patches = all_patches(manifest, table.sort_values("quality", kind="stable"))
    dataset = find_dataset(str(data))
    shown = with_pictures(patches, manifest, (48, 48), {})
    sheet = {**sheet_of(dataset.storage, "manifest.csv", fingerprint(dataset), shown).to_dict(), **changed}
    outputs = {"suspects": 3, "suspects_by_split": {"test": 1, "train": 2}, "patches": 60}

    def work(folder):
        (folder / REVIEW_SHEET).write_text(json.dumps(sheet))
        return StageResult("audit_labels", outputs=outputs)

    Run(store, run_id).perform("audit_labels", {}, work)
    decide(store, run_id, dataset=str(data))
    return f"{LABELS}{run_id}"


def post(client, address, body, **headers):
    confirmation = client.get(f"{address}/queue").json()["about"]["confirmation"]
    path = "undo" if not body else "answer"
    return client.post(f"{address}/{path}", json={"confirmation": confirmation, **body}, headers=headers)


@pytest.mark.parametrize("role", ["admin", "op", "user"])
def test_a_user_answers_in_their_own_name(any_store, data, browser, role):
    address, client = audited(any_store, data), browser(role)
    listed = Markup(client.get(LABELS).text)
    assert "3 of 60" in listed.text
    assert f"{LABELS}manual__1/worst/" in [attributes.get("href") for _, attributes in listed.elements]
    page = client.get(f"{address}/worst/")
    assert "Is this patch defective?" in page.text
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    queue = client.get(f"{address}/worst/queue").json()
    assert [item["patch_id"] for item in queue["items"]] == WORST[:2], "the test split is left out"
    assert queue["about"]["reviewer"] == role
    assert client.get(f"{address}/worst/pictures/{queue['items'][0]['picture']}").headers["Content-Type"] == "image/png"
    body = {"name": queue["items"][0]["name"], "said": "clean", "seconds": 2.0}
    assert post(client, f"{address}/worst", body).json()["answered"] == 1
    assert post(client, f"{address}/worst", {}).json()["answered"] == 0
    assert post(client, f"{address}/worst", body).json()["answered"] == 1
    assert post(client, f"{address}/worst", body).status_code == 409
    answers = read_answers(any_store)
    assert [(each.by, each.said) for each in answers] == [(role, Said.CLEAN), (role, Said.UNDO), (role, Said.CLEAN)]
    assert {each.dataset for each in answers} == {str(data)}


def test_blind_shows_neither_label_nor_name(folder_store, data, browser):
    address, client = audited(folder_store, data), browser("user")
    answer = client.get(f"{address}/blind/queue")
    assert answer.json()["total"] == 23
    for telling in ("p0", "patches/", 'label"', "score", "quality", "suggested", "photo"):
        assert telling not in answer.text.replace("left_out", "")
    assert all(set(item) == {"name", "picture", "around"} for item in answer.json()["items"])
    assert (
        client.get(f"{address}/blind/queue").json()["items"]
        == browser("op").get(f"{address}/blind/queue").json()["items"]
    )


def test_a_viewer_sees_the_list_and_cannot_answer(folder_store, data, browser):
    address, viewer = audited(folder_store, data), browser("viewer")
    assert "You may read but not review" in viewer.get(LABELS).text
    for path in ("", "queue", "pictures/x"):
        assert viewer.get(f"{address}/worst/{path}").status_code == 403
    user = browser("user").get(f"{address}/worst/queue").json()
    body = {
        "name": user["items"][0]["name"],
        "said": "clean",
        "seconds": 1,
        "confirmation": user["about"]["confirmation"],
    }
    answer = viewer.post(f"{address}/worst/answer", json=body)
    assert (answer.status_code, "permission to trigger" in answer.json()["error"]) == (403, True)
    assert not folder_store.files(FOLDER)


def test_without_login_nothing_is_shown(folder_store, data, browser):
    address, nobody = audited(folder_store, data), browser()
    assert nobody.get(LABELS).status_code == 303
    assert nobody.get(f"{address}/worst/").status_code == 303
    answer = nobody.get(f"{address}/worst/queue")
    assert (answer.status_code, "Log in" in answer.json()["error"]) == (401, True)
    assert nobody.post(f"{address}/worst/undo", json={}).status_code == 401


def test_answers_from_elsewhere_are_refused(folder_store, data, browser):
    address, client = audited(folder_store, data), browser("user")
    queue = client.get(f"{address}/worst/queue").json()
    body = {"name": queue["items"][0]["name"], "said": "clean", "seconds": 1}
    others = browser("op").get(f"{address}/worst/queue").json()["about"]["confirmation"]
    blind = client.get(f"{address}/blind/queue").json()["about"]["confirmation"]
    for confirmation in ("", "forged.a.b", others, blind, None):
        answer = client.post(f"{address}/worst/answer", json={**body, "confirmation": confirmation})
        assert (answer.status_code, "nothing was recorded" in answer.json()["error"]) == (403, True), confirmation
    assert post(client, f"{address}/worst", body, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    form = client.post(f"{address}/worst/answer", data={**body, "confirmation": queue["about"]["confirmation"]})
    assert form.status_code == 400
    assert not folder_store.files(FOLDER)


def test_a_dataset_outside_the_roots_is_not_read(folder_store, data, browser, monkeypatch, tmp_path):
    client = browser("user")
    address = audited(folder_store, data, dataset=str(tmp_path))
    assert client.get(f"{address}/worst/queue").status_code == 403
    monkeypatch.delenv("STEEL_TRAINING_ROOTS")
    monkeypatch.delenv("STEEL_TRAINING_DATASET", raising=False)
    answer = client.get(f"{address}/worst/queue")
    assert (answer.status_code, "set STEEL_TRAINING_ROOTS" in answer.json()["error"]) == (409, True)


def test_a_changed_or_missing_dataset_is_named(folder_store, data, browser):
    address, client = audited(folder_store, data), browser("user")
    with (data / "manifest.csv").open("a") as file:
        file.write("p9,patches/p0001.png,0,photo000,coil00\n")
    answer = client.get(f"{address}/worst/queue")
    assert (answer.status_code, "changed since this run" in answer.json()["error"]) == (409, True)
    shutil.rmtree(data)
    assert "is gone" in client.get(f"{address}/worst/queue").json()["error"]
    assert "is gone" in Markup(client.get(f"{address}/worst/").text).text


def test_damaged_records_and_unknown_runs_are_named(folder_store, data, browser):
    address, client = audited(folder_store, data, patches=[{}]), browser("user")
    assert "run the audit again" in client.get(f"{address}/worst/queue").json()["error"]
    assert client.get(f"{LABELS}other/worst/queue").status_code == 404
    assert client.get(f"{LABELS}..%2Fx/worst/queue").status_code == 404
    assert client.get(f"{LABELS}manual__1/sideways/queue").status_code in (400, 404)


def test_a_hand_edited_answers_file_is_named(folder_store, data, browser):
    address, client = audited(folder_store, data), browser("user")
    folder_store.write(f"{FOLDER}/ben.jsonl", b"{}\n")
    answer = client.get(f"{address}/worst/queue")
    assert (answer.status_code, "Line 1 of" in answer.json()["error"]) == (409, True)


def test_names_of_a_dataset_are_no_html(folder_store, data, browser):
    address, client = audited(folder_store, data), browser("user")
    decide(folder_store, "manual__1", dataset=HOSTILE)
    page = Markup(client.get(LABELS).text)
    assert page.active == []
    assert HOSTILE in page.text
    assert address.rpartition("/")[2] == "manual__1"
