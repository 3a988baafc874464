"""Files of the store open from the UI; nothing outside the store does, and nothing in it acts in the viewer's name."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from steel_training.errors import SteelTrainingError
from steel_training.storage import open_storage

FILES = "/steel-training/files/"
SECRET = b"planted outside of the store"


@pytest.fixture
def fenced(store: Path) -> Path:
    """A store beside a secret, with links and names that lead to it."""
    outside = store.parent / "outside"
    outside.mkdir()
    for place in (outside, store.parent):
        (place / "secret.txt").write_bytes(SECRET)
    (store / "runs" / "r1").mkdir(parents=True)
    (store / "runs" / "r1" / "fine.txt").write_text("fine")
    (store / "runs" / "r1" / "link.txt").symlink_to(outside / "secret.txt")
    (store / "runs" / "r1" / "folder").symlink_to(outside)
    (store / "runs" / "linked").symlink_to(outside)
    (store / "runs" / "r1" / ".lock").write_bytes(SECRET)
    (store / "secrets").mkdir()
    (store / "secrets" / "secret.txt").write_bytes(SECRET)
    (store / "secret.txt").write_bytes(SECRET)
    os.mkfifo(store / "runs" / "r1" / "pipe.txt")
    return store


@pytest.fixture
def token(browser) -> str:
    return browser("admin").cookies["_token"]


def raw(server: str, token: str, path: str) -> tuple[int, bytes]:
    """Asks for exactly this path: no client tidies it up."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=300)
    try:
        connection.request("GET", path, headers={"Cookie": f"_token={token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "runs/../../secret.txt",
        "runs/%2e%2e/%2e%2e/secret.txt",
        "runs/..%2f..%2fsecret.txt",
        "runs%2f..%2f..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "..%5csecret.txt",
        "runs/r1/..\\..\\..\\secret.txt",
        "runs/%252e%252e/%252e%252e/secret.txt",
        "runs/r1/link.txt",
        "runs/r1/folder/secret.txt",
        "runs/r1/folder/",
        "runs/linked/secret.txt",
        "runs/linked/",
        "runs/r1/.lock",
        "runs/r1/pipe.txt",
        "secrets/secret.txt",
        "secret.txt",
        "",
        "/",
        "runs/r1/fine.txt%00.png",
        "runs/r1/fine.txt/secret.txt",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "//etc/passwd",
        "file:%2f%2f%2fetc/passwd",
        "runs/r1/%c0%ae%c0%ae/secret.txt",
        "runs/" + "a" * 300,
    ],
)
def test_no_address_leads_out_of_the_store(server, token, fenced, path):
    for tried in (FILES + path, f"{FILES}{fenced.parent}/{path}"):
        status, body = raw(server, token, tried)
        assert status in {303, 404}, (status, body)
        assert SECRET not in body
        assert b"root:" not in body


STEPS = st.sampled_from(
    ["..", ".", "", "runs", "r1", "link.txt", "folder", "linked", "secret.txt", "secrets", ".lock", "fine.txt", "outside",
     "%2e%2e", "..%2f..", "%2f", "%5c..", "%00", "..\\..", "\u2025", "~", "pipe.txt", "*"],
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS | st.text(max_size=6), max_size=7))
@example(["runs", "r1", "fine.txt"])
def test_whatever_is_asked_for_only_files_of_the_store_come_back(server, token, fenced, steps):
    status, body = raw(server, token, FILES + quote("/".join(steps), safe="/%\\"))
    assert status in {200, 303, 400, 404}
    assert SECRET not in body
    if steps == ["runs", "r1", "fine.txt"]:
        assert body == b"fine"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS | st.text(max_size=6), max_size=7).map("/".join) | st.text())
def test_a_key_is_read_inside_or_refused(fenced, key):
    from models_page.safe_files import listed, read, size

    store = open_storage(fenced)
    for use in (read, size, listed):
        try:
            found = use(store, key)
        except SteelTrainingError:
            continue
        if use is listed:
            assert not {"secret.txt", "link.txt", "folder", "linked", ".lock"} & {*found.folders, *dict(found.files)}
        else:
            assert found == (b"fine" if use is read else 4)


def test_store_page_is_sandboxed_and_its_links_work(any_store, browser):
    page = b'<script>fetch("/api/v2/dags")</script><a href="validate_patches/data_docs/index.html">Data Docs</a>'
    any_store.write("runs/r 1/report.html", page)
    any_store.write("runs/r 1/validate_patches/data_docs/index.html", b'<a href="../../report.html">back</a>')
    any_store.write("runs/r2/report.html", b"another run")
    viewer = browser("viewer")
    answer = viewer.get(f"{FILES}runs/r%201/report.html", follow_redirects=True)
    assert answer.content == page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    for freedom in ("allow-", "script-src", "connect-src", "'self' "):
        assert freedom not in policy.replace("frame-ancestors 'self'", "")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    # A page without an origin sends no cookie where its links lead.
    nobody = browser()
    linked = nobody.get(answer.url.join("validate_patches/data_docs/index.html"))
    assert linked.status_code == 200
    assert nobody.get(linked.url.join("../../report.html")).content == page
    assert nobody.get(str(answer.url).replace("runs/r%201", "runs/r2")).status_code == 401
    assert nobody.get(str(answer.url).replace("report.html", "gone.html")).status_code == 404


def test_a_pass_runs_out_and_cannot_be_made_up(any_store, browser, monkeypatch):
    any_store.write("models/steel-defects/versions/v1/report.html", b"report")
    address = browser("viewer").get(f"{FILES}models/steel-defects/versions/v1/report.html").headers["location"]
    nobody = browser()
    assert nobody.get(address).content == b"report"
    signed = address.split("/")[3]
    payload, stamp, signature = signed.split(".")
    # The first characters: the last one of base64 holds bits that stand for nothing.
    other = {part: ("B" if part[0] == "A" else "A") + part[1:] for part in (payload, stamp, signature)}
    for forged in (
        f"{other[payload]}.{stamp}.{signature}",
        f"{payload}.{other[stamp]}.{signature}",
        f"{payload}.{stamp}.{other[signature]}",
        "x",
        "InJ1bnMi.aaaaaa.bbbbbb",
    ):
        assert nobody.get(address.replace(signed, forged)).status_code == 401
    monkeypatch.setattr("models_page.access_tokens.GOOD_FOR_SECONDS", -1)
    answer = nobody.get(address)
    assert answer.status_code == 401
    assert "open for more than an hour" in answer.text
    assert f'href="{FILES}models/steel-defects/versions/v1/report.html"' in answer.text, "and how to open it again"


@pytest.mark.parametrize(
    ("name", "kind", "saved"),
    [
        ("result.json", "application/json", False),
        ("patch.png", "image/png", False),
        ("results.csv", "text/plain; charset=utf-8", False),
        ("model_card.md", "text/plain; charset=utf-8", False),
        ("drawing.svg", "application/octet-stream", True),
        ("page.xhtml", "application/octet-stream", True),
        ("page.htm", "application/octet-stream", True),
        ("model.keras", "application/octet-stream", True),
        ("no suffix", "application/octet-stream", True),
        ('"; filename=x.html; x', "application/octet-stream", True),
    ],
)
def test_what_a_browser_would_not_show_harmlessly_is_downloaded(any_store, browser, name, kind, saved):
    any_store.write(f"runs/r1/{name}", b"<script>alert(1)</script>")
    answer = browser("viewer").get(f"{FILES}runs/r1/{quote(name)}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers.get("content-disposition", "inline").startswith("attachment") is saved
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "filename=x.html" not in answer.headers.get("content-disposition", "")


def test_folder_listing_has_index_pages_first(any_store, browser):
    for name in ("result.json", "index.html", "data_docs/index.html", "deep/er/file.txt"):
        any_store.write(f"runs/r1/validate_patches/{name}", b"x")
    viewer = browser("viewer")
    assert viewer.get(f"{FILES}runs/r1/validate_patches").headers["location"] == f"{FILES}runs/r1/validate_patches/"
    text = viewer.get(f"{FILES}runs/r1/validate_patches/").text
    places = [text.index(f">{name}<") for name in ("index.html", "data_docs/", "deep/", "result.json")]
    assert places == sorted(places)
    assert "file.txt" not in text
    assert viewer.get(f"{FILES}runs/nothing/").status_code == 404


def test_a_file_that_is_too_large_for_the_api_server_is_refused(any_store, browser, monkeypatch):
    any_store.write("runs/r1/profile.parquet", b"x" * 2000)
    monkeypatch.setattr("models_page.safe_files.LARGEST", 1000)
    answer = browser("viewer").get(f"{FILES}runs/r1/profile.parquet")
    assert answer.status_code == 413
    assert "Read it from the store" in answer.text
