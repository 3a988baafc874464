"""One version tells what it reached, what it missed and where it comes from, with what of its run is still there."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import operator
import random
import re

import pytest
from PIL import Image

from steel_training.registry import Registry

from .conftest import HOSTILE, Markup, publish

VERSION = "20261124-aa"
PAGE = f"/steel-training/versions/{VERSION}"
RUN = "backfill__2026-11-20"
ATTENTION = f"runs/{RUN}/evaluate/attention"


@pytest.fixture
def judged(any_store, tmp_path):
    """A version whose run has left curves and pictures of its mistakes; one patch has a name that is code."""
    publish(any_store, tmp_path, VERSION, run_id=RUN)
    curve = {"recall": [1.0, 0.97, 0.5, 0.0], "precision": [0.3, 0.9, 1.0, 1.0]}
    any_store.write_json(f"runs/{RUN}/evaluate/curves.json", {"pr": curve})
    picture = io.BytesIO()
    Image.new("L", (8, 8), 90).save(picture, "PNG")
    index = []
    for number, (kind, score) in enumerate([("missed", 0.01), ("missed", 0.2), ("false_alarm", 0.9)]):
        names = {which: f"{kind}_{number}_{which}.png" for which in ("patch", "overlay")}
        for name in names.values():
            any_store.write(f"{ATTENTION}/{name}", picture.getvalue())
        index.append({"patch_id": HOSTILE, "kind": kind, "label": 1, "score": score, "probability": score / 2,
                      "defect_type": HOSTILE, "source_id": None, **names})  # fmt: skip
    any_store.write_json(f"{ATTENTION}/index.json", index)
    any_store.write(f"runs/{RUN}/report.html", b"report")
    return any_store


def test_metrics_targets_and_operating_point_are_shown(judged, browser):
    text = browser("viewer").get(PAGE).text
    page = Markup(text)
    assert "Missed 3 of 100 defects; 4 false alarms among 300 clean patches." in page.text
    assert re.search(r"Recall\s*0\.9700\s*≥ 0\.95\s*✓ met", page.text)
    assert "Threshold 0.4321" in page.text
    curve = text[text.index('<svg viewBox="0 0 440 372"') :].split("</svg>")[0]
    assert "Precision against recall" in curve
    assert "at the operating threshold" in curve
    left, right, top, bottom = 54, 426, 12, 256  # of the chart's axes, 0 to 1
    x, y = left + 0.97 * (right - left), bottom - 0.96 * (bottom - top)
    assert f"M{x:.1f} {y - 7:.1f}l7 7" in curve, "the diamond stands at the recall and precision of the threshold"


def test_missed_defects_come_first_with_their_images(judged, browser):
    viewer = browser("viewer")
    text = viewer.get(PAGE).text
    page = Markup(text)
    assert page.active == [], "a name of the dataset is no code"
    pictures = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert [re.search(r"(missed|false_alarm)_(\d)_(\w+)\.png", src).groups() for src in pictures] == [
        ("missed", "0", "patch"), ("missed", "0", "overlay"), ("missed", "1", "patch"), ("missed", "1", "overlay"),
        ("false_alarm", "2", "patch"), ("false_alarm", "2", "overlay"),
    ]  # fmt: skip
    assert text.index("Missed defects") < text.index("False alarms")
    for src in pictures:
        assert src.startswith("/steel-training/files/runs/")
        assert viewer.get(src).headers["content-type"] == "image/png"
    assert "script>alert(1)" in page.text, "it is shown as what it is"


def test_lineage_card_report_run_and_files_are_linked_and_open(judged, browser):
    viewer = browser("viewer")
    page = Markup(viewer.get(PAGE).text)
    for told in ("s3://mill/strip/2026-11-20", "f" * 64, "backfill", "EfficientNetB0", "300 clean, 100 defective"):
        assert told in page.text, told
    links = {a.get("href") for tag, a in page.elements if tag == "a"}
    for href in links - {None}:
        assert viewer.get(href, follow_redirects=True).status_code == 200, href
    assert f"/steel-training/files/runs/{RUN}/report.html" in links
    assert f"/steel-training/files/models/steel-defects/versions/{VERSION}/model_card.md" in links


def test_version_of_deleted_run_shows_its_bundle(any_store, browser, tmp_path):
    publish(any_store, tmp_path, VERSION, run_id="gone")
    page = Markup(browser("viewer").get(PAGE).text)
    assert "no longer has curves" in page.text
    assert "3 in total; the run's folder no longer has pictures of them." in page.text
    links = {a.get("href") for tag, a in page.elements if tag == "a"}
    assert f"/steel-training/files/models/steel-defects/versions/{VERSION}/report.html" in links


def test_damaged_run_files_do_not_break_the_page(judged, browser):
    viewer = browser("viewer")
    for curves, index in ((b"{", b"["), (b"[]", b"{}"), (b'{"pr": {"recall": ["x"], "precision": []}}', b'[1, {"kind": 2}]'),
                          (b'{"pr": {"recall": [1], "precision": [1, 2]}}', b'[{"kind": "missed"}]'), (b"\xff", b"\xff")):  # fmt: skip
        judged.write(f"runs/{RUN}/evaluate/curves.json", curves)
        judged.write(f"{ATTENTION}/index.json", index)
        answer = viewer.get(PAGE)
        assert answer.status_code == 200, (curves, index)
        assert "no longer has curves" in answer.text


def test_a_bundle_with_next_to_nothing_in_it_is_shown(any_store, browser, tmp_path):
    bundle = tmp_path / "bare"
    bundle.mkdir()
    (bundle / "gate.json").write_text("{}")
    Registry(any_store, "steel-defects").publish(bundle, VERSION)
    viewer = browser("viewer")
    assert viewer.get(PAGE).status_code == 200
    assert viewer.get(f"/steel-training/compare?a={VERSION}&b={VERSION}").status_code == 200
    assert VERSION in viewer.get("/steel-training/").text


def test_pruned_version_shows_verdict_unknown_one_is_404(any_store, browser, tmp_path):
    publish(any_store, tmp_path, VERSION)
    any_store.remove_folder(f"models/steel-defects/versions/{VERSION}", first="checksums.json")
    viewer = browser("viewer")
    answer = viewer.get(PAGE)
    assert answer.status_code == 404
    assert "was pruned" in answer.text
    assert "0.9700" in answer.text
    answer = viewer.get("/steel-training/versions/never-was")
    assert answer.status_code == 404
    assert "holds no version never-was" in answer.text


def test_tampered_version_is_not_shown(any_store, browser, tmp_path):
    publish(any_store, tmp_path, VERSION)
    key = Registry(any_store, "steel-defects").key_of(VERSION, "gate.json")
    any_store.write(key, json.dumps({"metrics": {"recall": {"value": 1.0}}}).encode())
    answer = browser("viewer").get(PAGE)
    assert answer.status_code == 409
    assert "gate.json of version 20261124-aa differs from what was published" in answer.text


ODD = [None, [], {}, "x", 5, -1, 1e308, [5], [{}], {"a": []}, {"value": "x"}, True]


def places(value, path=()):
    """Every place of a JSON value, from its top."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def test_an_odd_gate_json_is_answered_and_never_fails_the_page(folder_store, tmp_path, browser):
    publish(folder_store, tmp_path, "v1")
    publish(folder_store, tmp_path, "v2")
    top, client = tmp_path / "store/models/steel-defects/versions/v1", browser("viewer")
    whole = json.loads((top / "gate.json").read_text())
    odd = [(path, value) for path in places(whole) for value in ODD]
    chosen = random.Random(0).sample(odd, 60) + [((), value) for value in ODD]
    statuses = set()
    for path, value in chosen:
        content = json.loads(json.dumps({"whole": whole}))
        *above, last = ("whole", *path)
        functools.reduce(operator.getitem, above, content)[last] = value
        (top / "gate.json").write_text(json.dumps(content["whole"]))
        sums = json.loads((top / "checksums.json").read_text())
        sums["gate.json"] = hashlib.sha256((top / "gate.json").read_bytes()).hexdigest()
        (top / "checksums.json").write_text(json.dumps(sums))
        for page in ("versions/v1", "compare?a=v1&b=v2", "?"):
            answer = client.get(f"/steel-training/{page}")
            assert answer.status_code in (200, 409), (path, value, page)
            statuses.add(answer.status_code)
    assert statuses == {200, 409}


@pytest.mark.parametrize("page", ["9" * 5000, "0" * 5000 + "1", "-1", "", "²", "٣", "1e9"])
def test_an_odd_number_of_a_page_is_answered(folder_store, tmp_path, browser, page):
    publish(folder_store, tmp_path, "v1")
    answer = browser("viewer").get("/steel-training/", params={"page": page})
    assert answer.status_code == 200
    assert "v1" in answer.text
