"""Print the tests of what changed: `python scripts/changed_tests.py [--since COMMIT]`, one path per line.

Changed is what differs from the commit where this branch left `main` (or `origin/main`), uncommitted and untracked files included;
without either branch, what is uncommitted. A changed test file is its own test. For a module it is the `test_MODULE.py` in the folder that
mirrors its own; otherwise the tests that import or name the module, else the tests of the mirrored folder, else
those that import its package. For any other file, such as a page of the documentation, it is the tests that name it.

`tests/e2e` and `tests/integration` are chosen only when they changed themselves. Without changes it prints nothing to standard output
and exits with 0.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

MAIN_BRANCHES = ("main", "origin/main")
# The longest prefix of a path counts.
MIRRORS = {
    "steel_training": "tests/unit",
    "pretraining": "tests/unit/pretraining",
    "plugins/steel_training_airflow": "tests/dags",
    "plugins/models_page": "tests/dags/models_page",
    "dags": "tests/dags",
}
TOPS = ("plugins", "scripts", "dags", "tests/integration")
QUICK = ("tests/unit", "tests/dags")
MANY = 20


class GitFailed(Exception):
    """A git command ended with an error, such as an unknown commit after `--since`."""


def git(root: Path, *words: str) -> str:
    """Return what a git command prints.

    Raises:
        GitFailed: it ended with another exit status than 0.
    """
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GitFailed(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def branch_point(root: Path) -> str | None:
    """Return the commit where HEAD left the main branch; `None` without a main branch or a common ancestor."""
    for branch in MAIN_BRANCHES:
        try:
            return git(root, "merge-base", branch, "HEAD").strip()
        except GitFailed:
            continue
    return None


def changed_files(root: Path, since: str | None) -> list[str]:
    """Return the paths, relative to `root`, that differ from a commit, deleted and untracked ones included.

    Args:
        root: the top of the working tree.
        since: the commit; `None` compares with HEAD, or with nothing where nothing was committed yet.

    Raises:
        GitFailed: `root` is not in a git repository, or `since` is not a commit of it.
    """
    untracked = git(root, "ls-files", "-z", "--others", "--exclude-standard")
    if since is None:
        try:
            since = git(root, "rev-parse", "--verify", "HEAD").strip()
        except GitFailed:
            return sorted({*untracked.split("\0"), *git(root, "ls-files", "-z").split("\0")} - {""})
    # Both names of a renamed file count: its tests may still have the old one.
    differing = git(root, "diff", "-z", "--name-only", "--no-renames", since, "--")
    return sorted({*untracked.split("\0"), *differing.split("\0")} - {""})


def tests_of(root: Path, path: str) -> set[str]:
    """Return the test files of one changed file; empty where it has none."""
    file = PurePosixPath(path)
    if path.startswith("tests/"):
        if file.name.startswith("test_") and file.suffix == ".py":
            return {path} if (root / path).exists() else set()
        return _tests_in(root, file.parent) or _tests_importing(root, lambda imported: imported == _dotted(file))
    if file.suffix != ".py":
        return _tests_naming(root, file) or _tests_around(root, _mirror(file))
    if (mirror := _mirror(file)) and (root / (own := mirror / f"test_{file.name}")).exists():
        return {own.as_posix()}
    name = _dotted(file)
    if file.stem == "__init__":  # its names are imported everywhere
        return _tests_around(root, mirror)
    return (
        _tests_importing(root, lambda imported: imported == name)
        or _tests_naming(root, file)
        or _tests_around(root, mirror)
        or _tests_of_package(root, name)
    )


def _mirror(file: PurePosixPath) -> PurePosixPath | None:
    for prefix in sorted(MIRRORS, key=len, reverse=True):
        if file.is_relative_to(prefix):
            return PurePosixPath(MIRRORS[prefix]) / file.parent.relative_to(prefix)
    return None


def _tests_in(root: Path, folder: PurePosixPath) -> set[str]:
    return {path.relative_to(root).as_posix() for path in (root / folder).glob("test_*.py")}


def _tests_around(root: Path, mirror: PurePosixPath | None) -> set[str]:
    """Test of the nearest mirrored folder that has some, but not those of all the top-level modules."""
    while mirror and len(mirror.parts) > 1 and mirror.as_posix() != "tests/unit":
        if tests := _tests_in(root, mirror):
            return tests
        mirror = mirror.parent
    return set()


def _tests_naming(root: Path, file: PurePosixPath) -> set[str]:
    # A name without a suffix, such as "run", would match any text.
    name = file.name if file.suffix else file.as_posix()
    return {test for test, text in _quick_tests(root).items() if name in text}


def _tests_of_package(root: Path, name: str) -> set[str]:
    package, _, _ = name.rpartition(".")
    if package in {"", "steel_training"}:
        return set()
    return _tests_importing(root, lambda imported: imported == package or imported.startswith(f"{package}."))


def _tests_importing(root: Path, match: Callable[[str], bool]) -> set[str]:
    return {test for test, text in _quick_tests(root).items() if any(map(match, _imported(text)))}


def _dotted(file: PurePosixPath) -> str:
    """The name that a test imports a module by: scripts, plugins, DAG files and test helpers are imported from their folder."""
    bare = file.with_suffix("")
    return ".".join(next((bare.relative_to(top).parts for top in TOPS if bare.is_relative_to(top)), bare.parts))


@cache
def _quick_tests(root: Path) -> dict[str, str]:
    """The text of every test that may run for a change elsewhere."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for folder in QUICK
        for path in sorted((root / folder).rglob("test_*.py"))
    }


@cache
def _imported(text: str) -> frozenset[str]:
    names: set[str] = set()
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:  # reported by pytest
        return frozenset()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def main(words: list[str] | None = None) -> int:
    """Print the tests of what changed in the working tree that contains the current folder."""
    parser = argparse.ArgumentParser(description="Print the tests of what changed, one path per line.")
    parser.add_argument("--since", help="compare with this commit instead of the one where the branch left main")
    parser.add_argument(
        "--files", action="store_true", help="print the changed files that still exist, not their tests"
    )
    options = parser.parse_args(words)
    try:
        root = Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
        since = options.since or branch_point(root)
        changed = changed_files(root, since)
    except GitFailed as error:
        print(f"changed_tests: {error}", file=sys.stderr)
        return 2
    if since is None:
        print("changed_tests: no branch main: using uncommitted changes only", file=sys.stderr)
    if options.files:
        print("".join(f"{path}\n" for path in changed if (root / path).is_file()), end="")
        return 0
    tests = sorted(set().union(*(tests_of(root, path) for path in changed)))
    print("".join(f"{test}\n" for test in tests), end="")
    if len(tests) > MANY:
        print(
            "changed_tests: many tests for a quick check; --since HEAD uses uncommitted changes only", file=sys.stderr
        )
    summary = f"{len(tests)} test files for {len(changed)} changed files" if changed else "nothing changed"
    print(f"changed_tests: {summary}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
