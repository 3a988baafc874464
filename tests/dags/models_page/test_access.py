"""Nobody sees anything without Airflow's login, and nobody moves anything without its permission."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from .conftest import publish

PAGES = (
    "/steel-training/",
    "/steel-training/versions/20261124-aa?model=steel-defects",
    "/steel-training/compare?a=20261124-aa&b=20261124-aa",
    "/steel-training/runs/manual__2026-11-24T00%3A10%3A00%2B00%3A00",
)
FILES = "/steel-training/files/models/steel-defects/versions/20261124-aa/gate.json"


@pytest.fixture(autouse=True)
def one_version(folder_store, tmp_path):
    publish(folder_store, tmp_path, "20261124-aa")


@pytest.mark.parametrize("path", PAGES)
def test_without_a_login_a_page_leads_to_airflows_login_and_back(browser, path):
    nobody = browser()
    answer = nobody.get(path)
    assert answer.status_code == 303
    assert "20261124-aa" not in answer.text
    login = nobody.get(answer.headers["location"])  # Airflow's own; it checks that the way back is safe
    assert login.status_code == 307
    assert httpx.URL(login.headers["location"]).path == "/auth/login"
    assert httpx.URL(login.headers["location"]).params["next"] == path


def test_without_a_login_a_file_and_a_form_are_refused(browser):
    nobody = browser()
    for answer in (
        nobody.get(FILES),
        nobody.get("/steel-training/files/runs/"),
        nobody.post("/steel-training/rollback"),
        nobody.post("/steel-training/versions/20261124-aa/promote", data={"confirmed": "yes"}),
    ):
        assert answer.status_code == 401
        assert "fingerprint" not in answer.text
        back = FILES if answer.request.url.path == FILES else "/steel-training/"
        assert f"next={quote(back, safe='')}" in answer.text or answer.request.url.path.endswith("runs/")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9.",  # pragma: allowlist secret
    ],
)
def test_a_token_that_is_not_airflows_is_no_login(browser, token):
    nobody = browser()
    nobody.cookies.set("_token", token)
    assert nobody.get(PAGES[0]).status_code == 303
    assert nobody.get(FILES).status_code == 401
    assert browser().get(FILES, headers={"Authorization": f"Bearer {token}x"}).status_code == 401


def test_after_logging_out_the_old_token_is_no_login(browser):
    viewer = browser("viewer")
    token = viewer.cookies["_token"]
    assert viewer.get(PAGES[0]).status_code == 200
    viewer.get("/api/v2/auth/logout")
    viewer.cookies.set("_token", token, domain="127.0.0.1", path="/")
    assert viewer.get(PAGES[0]).status_code == 303


@pytest.mark.parametrize("role", ["viewer", "user", "op", "admin"])
def test_everyone_who_may_read_the_dag_may_read(browser, role):
    client = browser(role)
    for path in PAGES:
        assert client.get(path).status_code == 200
    assert client.get(FILES).json()["version"] == "20261124-aa"


def test_a_bearer_token_reads_as_the_cookie_does(browser, server):
    token = browser("viewer").cookies["_token"]
    answer = httpx.get(f"{server}{FILES}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_who_may_not_read_the_dag_may_not_read(browser, monkeypatch):
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    viewer = browser("viewer")
    asked = []

    def refuse(self, *, method, user, access_entity=None, details=None):
        asked.append((method, details.id))
        return False

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", refuse)
    for path in (*PAGES, FILES):
        answer = viewer.get(path)
        assert answer.status_code == 403
        assert "permission to read the DAG steel_training" in answer.text
    assert set(asked) == {("GET", "steel_training")}


def test_pages_forbid_framing_and_caching(browser):
    viewer = browser("viewer")
    for path in PAGES:
        headers = viewer.get(path).headers
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
