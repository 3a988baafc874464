"""What a person does in the browser: log in, fill in the form, follow the run, read the report, look at the models, roll back.

With `STEEL_TRAINING_SCREENSHOTS=docs` the pictures of the documentation are taken on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def mill(start_mill: Callable[..., Any]) -> Any:
    started = start_mill(AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,viewer:viewer")
    started.add_version("2026-01-09", seed=20)
    started.add_version("2026-01-10", seed=21)
    started.switch_on("steel_training")
    return started


def log_in(browser: Browser, mill: Any, user: str) -> Page:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, device_scale_factor=2)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{mill.airflow.address}/dags/steel_training")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", mill.airflow.passwords[user])
    page.click("button[type=submit]")
    expect(page.get_by_text("steel_training").first).to_be_visible()
    return page


@pytest.fixture(scope="module")
def page(browser: Browser, mill: Any) -> Page:
    return log_in(browser, mill, "admin")


def test_user_triggers_a_run_and_opens_its_report(page: Page, mill: Any, shots: Path) -> None:
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Training", exact=True).click()
    epochs = form.locator("[name='element_training.head.epochs']")
    epochs.fill("0")
    epochs.blur()
    expect(epochs).to_have_value("1")  # the form keeps to the range
    epochs.fill("9")
    epochs.blur()
    page.set_viewport_size({"width": 1100, "height": 1300})
    page.get_by_text("Trigger Dag").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    page.screenshot(path=shots / "form.png", scale="css")
    form.get_by_role("button", name="Dataset", exact=True).click()
    date = form.locator("[name='element_date']")
    date.fill("2026-01-09")
    form.get_by_role("button", name="Trigger").last.click()
    page.set_viewport_size({"width": 1400, "height": 900})

    (run,) = mill.wait(lambda: mill.runs(run_type="manual"), 60, "the triggered run")
    assert (run["conf"]["training.head.epochs"], run["conf"]["date"]) == (9, "2026-01-09")
    assert mill.wait_for_end(run["dag_run_id"])["state"] == "success"

    address = f"{mill.airflow.address}/dags/steel_training/runs/{run['dag_run_id']}"
    page.goto(address)
    expect(page.get_by_text("Success").first).to_be_visible()
    page.locator("[aria-label*=raph], button[title*=raph]").first.click()
    expect(page.get_by_text("meets its targets")).to_be_visible()
    page.wait_for_timeout(2000)
    drawn = page.locator(".react-flow__node").evaluate_all(
        "nodes => nodes.map(n => n.getBoundingClientRect().toJSON())"
    )
    left, top = min(n["left"] for n in drawn) - 10, min(n["top"] for n in drawn) - 20
    width, height = max(n["right"] for n in drawn) + 10 - left, max(n["bottom"] for n in drawn) + 20 - top
    page.screenshot(path=shots / "graph.png", clip={"x": left, "y": top, "width": width, "height": height})

    links = mill.ask(f"/dags/steel_training/dagRuns/{run['dag_run_id']}/taskInstances/publish_model/links")
    page.goto(links["extra_links"]["Report"])
    expect(page.get_by_text("published", exact=False).first).to_be_visible()
    docs = mill.ask(f"/dags/steel_training/dagRuns/{run['dag_run_id']}/taskInstances/validate_patches/links")
    page.goto(docs["extra_links"]["Data Docs"])
    expect(page.get_by_text("Expectations").first).to_be_visible()
    page.goto(links["extra_links"]["Model version"])
    expect(page.get_by_text(mill.champion()).first).to_be_visible()
    page.goto(f"{address}/plugin/steel-verdict")
    verdict: FrameLocator = page.frame_locator("iframe")
    expect(verdict.get_by_text("published", exact=False).first).to_be_visible()
    expect(page.locator(".react-flow__node").first).to_be_visible()
    page.screenshot(path=shots / "verdict.png", scale="css")


def test_user_releases_a_second_model_and_rolls_back(page: Page, browser: Browser, mill: Any, shots: Path) -> None:
    first = mill.champion()
    conf = {"date": "2026-01-10", "gate.champion_tolerance": 1.0, "publish.require_approval": True}
    run = mill.ask("/dags/steel_training/dagRuns", {"logical_date": None, "conf": conf})
    path = f"/dags/steel_training/runs/{run['dag_run_id']}/tasks/approve_release"
    mill.wait(
        lambda: mill.tasks(run["dag_run_id"])["approve_release"]["state"] == "awaiting_input", 600, "the question"
    )
    page.goto(f"{mill.airflow.address}{path}/required_actions")
    expect(page.get_by_text("defects missed", exact=False)).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_be_enabled()
    page.screenshot(path=shots / "approval.png", scale="css")
    page.get_by_role("button", name="Approve").click()
    assert mill.wait_for_end(run["dag_run_id"])["state"] == "success"
    second = mill.champion()
    assert second != first
    assert mill.decisions()[-1]["approval"] == {"approved": True, "by": "admin", "reason": None}

    page.goto(f"{mill.airflow.address}/")
    page.get_by_role("link", name="Models").click()
    models = page.frame_locator("iframe")
    for version in (first, second):
        expect(models.get_by_text(version).first).to_be_visible()
    models.get_by_text(f"Roll back to {first} …").click()
    models.get_by_role("checkbox").check()
    models.get_by_role("button", name=f"Roll back to {first}").click()
    expect(models.get_by_text(first).first).to_be_visible()
    mill.wait(lambda: mill.champion() == first, 30, "the rollback")
    page.goto(f"{mill.airflow.address}/plugin/steel-models")
    expect(models.get_by_text("compare with champion").first).to_be_visible(timeout=60_000)
    page.screenshot(path=shots / "models-page.png", scale="css")

    viewer = log_in(browser, mill, "viewer")
    viewer.goto(f"{mill.airflow.address}/steel-training/")
    expect(viewer.get_by_text(second).first).to_be_visible()
    expect(viewer.get_by_text("Roll back")).to_have_count(0)
