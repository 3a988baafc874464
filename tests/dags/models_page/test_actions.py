"""Promote and rollback: by who may, on a look at what serves, never in somebody's name, and written down."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy import select

from steel_training.registry import Registry
from steel_training.storage import open_storage

from .conftest import Markup, publish

AA, BB, CC = "20261124-aa", "20261124-bb", "20261124-cc"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A store with three versions; the first is the champion."""
    folder = tmp_path_factory.mktemp("published")
    store = open_storage(folder / "store")
    for version in (AA, BB, CC):
        publish(store, folder, version)
    Registry(store, "steel-defects").promote(AA)
    return folder / "store"


@pytest.fixture(params=["folder", "s3"])
def registry(request, published, tmp_path, monkeypatch):
    """The registry of a copy of that store, which the API server shows."""
    if request.param == "folder":
        uri = str(shutil.copytree(published, tmp_path / "store"))
    else:
        uri = request.getfixturevalue("s3_copy")(published)
    monkeypatch.setenv("STEEL_TRAINING_STORE", uri)
    return Registry(open_storage(uri), "steel-defects")


def confirmation(client, path):
    return Markup(client.get(path).text).field("confirmation")


def promote(client, version, **form):
    path = f"/steel-training/versions/{version}"
    return client.post(f"{path}/promote", data={"confirmation": confirmation(client, path), "confirmed": "yes", **form})


def logged():
    with create_session() as session:
        entry = session.scalars(select(Log).where(Log.event.like("steel_model_%")).order_by(Log.id.desc())).first()
        return (entry.event, entry.owner, entry.dag_id, json.loads(entry.extra)) if entry else None


@pytest.mark.parametrize("role", ["admin", "op", "user"])
def test_permitted_user_promotes_and_is_logged(registry, browser, role):
    client = browser(role)
    answer = promote(client, BB)
    assert answer.status_code == 200
    assert f"Champion of steel-defects: from {AA} to {BB}" in Markup(answer.text).text
    assert registry.champion()[0] == BB
    moved = {"model": "steel-defects", "from": AA, "to": BB, "outcome": "done"}
    assert logged() == ("steel_model_promote", role, "steel_training", moved)

    form = {"confirmation": confirmation(client, "/steel-training/"), "confirmed": "yes"}
    answer = client.post("/steel-training/rollback", data=form)
    assert f"from {BB} to {AA}" in Markup(answer.text).text
    assert registry.champion()[0] == AA
    assert logged() == ("steel_model_rollback", role, "steel_training", {**moved, "from": BB, "to": AA})


def test_a_viewer_sees_no_button_and_is_refused(registry, browser):
    registry.promote(BB)
    viewer = browser("viewer")
    for path in ("/steel-training/", f"/steel-training/versions/{AA}"):
        assert '<form class="move"' not in viewer.get(path).text
    borrowed = confirmation(browser("admin"), f"/steel-training/versions/{AA}")
    for path in (f"/steel-training/versions/{AA}/promote", "/steel-training/rollback"):
        answer = viewer.post(path, data={"confirmation": borrowed, "confirmed": "yes"})
        assert answer.status_code == 403
        assert "permission to trigger the DAG" in answer.text
    assert registry.champion()[0] == BB


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"confirmation": ""}, "not made by this page"),
        ({"confirmation": "forged.aaaaaa.bbbbbbb"}, "not made by this page"),
        ({"confirmed": ""}, "Tick the box"),
        ({"confirmed": "no"}, "Tick the box"),
    ],
)
def test_without_consent_nothing_moves(registry, browser, form, said):
    answer = promote(browser("admin"), BB, **form)
    assert answer.status_code == 403
    assert said in answer.text
    assert registry.champion()[0] == AA


def test_a_consent_is_for_one_person_one_move_and_one_hour(registry, browser, monkeypatch):
    registry.promote(BB)
    admin, op = browser("admin"), browser("op")
    for_aa = confirmation(admin, f"/steel-training/versions/{AA}")
    for_back = confirmation(admin, "/steel-training/")
    for client, path, given in (
        (op, f"versions/{AA}/promote", for_aa),
        (admin, f"versions/{CC}/promote", for_aa),
        (admin, f"versions/{AA}/promote", for_back),
        (admin, "rollback", for_aa),
    ):
        answer = client.post(f"/steel-training/{path}", data={"confirmation": given, "confirmed": "yes"})
        assert answer.status_code == 403, path
    monkeypatch.setattr("models_page.confirmation.GOOD_FOR_SECONDS", -1)
    answer = admin.post(f"/steel-training/versions/{AA}/promote", data={"confirmation": for_aa, "confirmed": "yes"})
    assert "open for more than an hour" in answer.text
    assert registry.champion()[0] == BB


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_cross_site_form_is_refused(registry, browser, site):
    admin = browser("admin")
    admin.headers["Sec-Fetch-Site"] = site
    answer = promote(admin, BB)
    assert answer.status_code == 403
    assert registry.champion()[0] == AA


def test_move_after_champion_changed_is_refused(registry, browser):
    admin = browser("admin")
    path = f"/steel-training/versions/{CC}"
    early = confirmation(admin, path)
    registry.promote(BB)
    late = confirmation(admin, "/steel-training/")
    answer = admin.post(f"{path}/promote", data={"confirmation": early, "confirmed": "yes"})
    assert answer.status_code == 409
    assert f"no longer {AA}" in answer.text
    assert logged()[3]["outcome"] == "refused: the champion had moved"
    for expected in (200, 409):  # the same form sent twice rolls back once
        answer = admin.post("/steel-training/rollback", data={"confirmation": late, "confirmed": "yes"})
        assert answer.status_code == expected
    assert registry.champion()[0] == AA


def test_damaged_or_missing_version_is_refused(registry, browser):
    admin = browser("admin")
    store = registry.store
    store.write(registry.key_of(BB, "model_card.md"), b"tampered")
    answer = promote(admin, BB)
    assert answer.status_code == 409
    assert "model_card.md of version 20261124-bb differs from what was published" in answer.text
    assert re.search("refused: .*model_card", logged()[3]["outcome"])
    given = confirmation(admin, f"/steel-training/versions/{CC}")
    store.remove_folder(f"models/steel-defects/versions/{CC}", first="checksums.json")
    answer = admin.post(f"/steel-training/versions/{CC}/promote", data={"confirmation": given, "confirmed": "yes"})
    assert answer.status_code == 404
    assert "holds no version 20261124-cc" in answer.text
    assert registry.champion()[0] == AA


def test_the_first_champion_is_made_here_too(any_store, browser, tmp_path):
    publish(any_store, tmp_path, AA)
    answer = promote(browser("op"), AA)
    assert f"from none to {AA}" in Markup(answer.text).text
    assert Registry(any_store, "steel-defects").champion()[0] == AA


def test_a_damaged_pointer_is_mended_by_a_promotion(registry, browser):
    registry.store.write("models/steel-defects/champion.json", b'{"version": "2026')
    answer = promote(browser("admin"), BB)
    assert answer.status_code == 200
    assert registry.champion()[0] == BB
