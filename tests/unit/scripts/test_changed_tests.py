"""`make check` runs the tests of what changed, in a repository of any state."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "changed_tests.py"

Ask = Callable[..., tuple[int, list[str], str]]


@pytest.fixture(autouse=True)
def no_git_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A git hook that runs these tests names its own repository in the environment."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def write(folder: Path, path: str, text: str = "") -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--message", "A change")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A repository without a commit."""
    git(tmp_path, "init", "--initial-branch", "main")
    return tmp_path


@pytest.fixture
def repository(empty: Path) -> Path:
    """A branch `work` with nothing changed since `main`."""
    for module in ("errors", "leakage/metadata", "leakage/names", "leakage/pair", "stages/decide", "storage/s3"):
        write(empty, f"steel_training/{module}.py")
    write(empty, "steel_training/report/templates/page.html.j2")
    write(empty, "plugins/steel_training_airflow/form.py")
    write(empty, "scripts/make_env.py")
    write(empty, "docs/reason-codes.md")
    write(empty, "docs/other.md")
    write(empty, "tests/unit/conftest.py")
    write(empty, "tests/unit/test_stages.py", "from steel_training.stages import LATER\n")
    write(empty, "tests/unit/test_reason_codes.py", 'DOCUMENT = "docs/reason-codes.md"\n')
    write(empty, "tests/unit/leakage/conftest.py")
    write(empty, "tests/unit/leakage/test_metadata.py", "from steel_training.leakage import metadata\n")
    write(empty, "tests/unit/leakage/test_all.py", "from steel_training.leakage.names import *\n")
    write(empty, "tests/unit/report/test_page.py")
    write(empty, "tests/dags/test_form.py", "from steel_training_airflow.form import params\n")
    write(empty, "tests/dags/test_compose.py", "import make_env\nfrom composed.file import read_compose\n")
    write(empty, "tests/integration/composed/file.py")
    write(empty, "tests/e2e/test_demo.py", "from steel_training.leakage.patch_pairs import *\n")
    commit(empty)
    git(empty, "switch", "--create", "work")
    return empty


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Runs the script: exit status, the paths it printed, and what it said."""

    def run(*words: str, cwd: Path = tmp_path) -> tuple[int, list[str], str]:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *words], cwd=cwd, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def test_nothing_changed_is_said_and_passes(repository: Path, ask: Ask) -> None:
    status, tests, said = ask()
    assert (status, tests) == (0, [])
    assert "nothing changed" in said


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("steel_training/leakage/metadata.py", ["tests/unit/leakage/test_metadata.py"]),
        ("steel_training/leakage/names.py", ["tests/unit/leakage/test_all.py"]),
        ("steel_training/leakage/pair.py", ["tests/unit/leakage/test_all.py", "tests/unit/leakage/test_metadata.py"]),
        ("steel_training/stages/decide.py", ["tests/unit/test_stages.py"]),
        ("steel_training/report/templates/page.html.j2", ["tests/unit/report/test_page.py"]),
        ("plugins/steel_training_airflow/form.py", ["tests/dags/test_form.py"]),
        ("scripts/make_env.py", ["tests/dags/test_compose.py"]),
        ("tests/integration/composed/file.py", ["tests/dags/test_compose.py"]),
        ("docs/reason-codes.md", ["tests/unit/test_reason_codes.py"]),
        (
            "tests/unit/leakage/conftest.py",
            ["tests/unit/leakage/test_all.py", "tests/unit/leakage/test_metadata.py"],
        ),
        ("tests/e2e/test_demo.py", ["tests/e2e/test_demo.py"]),
        ("steel_training/errors.py", []),
        ("docs/other.md", []),
    ],
)
def test_a_changed_file_brings_its_tests(repository: Path, ask: Ask, changed: str, expected: list[str]) -> None:
    write(repository, changed, "# changed\n")
    assert ask()[:2] == (0, expected)


def test_commits_of_the_branch_count_and_main_does_not(repository: Path, ask: Ask) -> None:
    write(repository, "steel_training/leakage/metadata.py", "# on the branch\n")
    commit(repository)
    git(repository, "switch", "main")
    write(repository, "steel_training/stages/decide.py", "# on main, later\n")
    commit(repository)
    git(repository, "switch", "work")
    assert ask()[1] == ["tests/unit/leakage/test_metadata.py"]
    git(repository, "switch", "--detach")
    assert ask()[1] == ["tests/unit/leakage/test_metadata.py"], "a detached HEAD"
    assert ask("--since", "HEAD")[1] == []


def test_staged_and_untracked_files_count(repository: Path, ask: Ask) -> None:
    write(repository, "steel_training/leakage/names.py", "# staged\n")
    git(repository, "add", "--all")
    write(repository, "tests/unit/test_new file.py")
    assert ask()[1] == ["tests/unit/leakage/test_all.py", "tests/unit/test_new file.py"]


def test_a_deleted_module_brings_its_test(repository: Path, ask: Ask) -> None:
    (repository / "steel_training/leakage/metadata.py").unlink()
    (repository / "tests/unit/test_stages.py").unlink()
    assert ask()[1] == ["tests/unit/leakage/test_metadata.py"]
    assert ask("--files")[1] == []


def test_a_renamed_module_counts_under_both_names(repository: Path, ask: Ask) -> None:
    git(repository, "mv", "steel_training/leakage/metadata.py", "steel_training/leakage/columns.py")
    write(repository, "tests/unit/leakage/test_columns.py")
    commit(repository)
    assert ask()[1] == ["tests/unit/leakage/test_columns.py", "tests/unit/leakage/test_metadata.py"]


def test_without_main_uncommitted_changes_count(repository: Path, ask: Ask) -> None:
    git(repository, "branch", "--delete", "--force", "main")
    write(repository, "steel_training/leakage/names.py", "# committed\n")
    commit(repository)
    write(repository, "steel_training/leakage/metadata.py", "# not committed\n")
    status, tests, said = ask()
    assert (status, tests) == (0, ["tests/unit/leakage/test_metadata.py"])
    assert "no branch main" in said


def test_a_clone_compares_with_its_remote(repository: Path, ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> None:
    write(repository, "steel_training/leakage/metadata.py", "# on the branch\n")
    commit(repository)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "--branch", "work", str(repository), ".")
    assert ask(cwd=clone)[1] == ["tests/unit/leakage/test_metadata.py"]


def test_before_the_first_commit_all_files_count(empty: Path, ask: Ask) -> None:
    write(empty, "tests/unit/test_one.py")
    git(empty, "add", "--all")
    write(empty, "tests/unit/test_two.py")
    assert ask()[:2] == (0, ["tests/unit/test_one.py", "tests/unit/test_two.py"])


def test_an_unknown_commit_is_an_error(repository: Path, ask: Ask) -> None:
    status, tests, said = ask("--since", "no-such-commit")
    assert (status, tests) == (2, [])
    assert "no-such-commit" in said


def test_the_script_needs_a_repository(ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> None:
    status, tests, said = ask(cwd=tmp_path_factory.mktemp("no_repository"))
    assert (status, tests) == (2, [])
    assert "not a git repository" in said
