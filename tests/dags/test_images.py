"""The container images hold the installed package and what their services run, and nothing of the checkout besides."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("orchestrator", "worker", "gpu-worker")
DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
BODIES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, flags=re.MULTILINE | re.DOTALL))


def copied(stage: str) -> set[str]:
    """What a stage takes from the build context."""
    lines = re.findall(r"^COPY (.+)$", BODIES[stage], flags=re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


@pytest.mark.parametrize("stage", sorted(BODIES))
def test_dockerignore_keeps_what_is_copied(stage: str) -> None:
    first, *kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in {"", "#"}]
    assert first == "*", "everything is left out that is not named"
    passed = {Path(line[1:]) for line in kept if line.startswith("!")}
    for source in copied(stage):
        assert (ROOT / source).exists(), source
        assert passed & {Path(source), *Path(source).parents}, source


@pytest.mark.parametrize("target", TARGETS)
def test_images_contain_no_sources_or_tests(target: str) -> None:
    assert {source.split("/")[0] for source in copied(target)} == (
        {"requirements", "dags", "plugins"} | ({"scripts"} if target != "gpu-worker" else set())
    )
    assert "from=wheel" in BODIES[target]
    assert "/wheel/*.whl" in BODIES[target]


@pytest.mark.parametrize("target", TARGETS)
def test_images_contain_the_scripts_they_run(target: str) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"].values()
    built = [service for service in services if service.get("build", {}).get("target") == target]
    words = [f"{service.get('command', '')} {service.get('healthcheck', {}).get('test', '')}" for service in built]
    used = set(re.findall(r"/opt/steel-training/(scripts/\w+\.\w+)", " ".join(words)))
    if "scripts/init.sh" in used:
        used |= {f"scripts/{name}" for name in re.findall(r"/(\w+\.py)\b", (ROOT / "scripts/init.sh").read_text())}
    assert {source for source in copied(target) if source.startswith("scripts/")} == used


def test_wheel_contains_package_and_licence(tmp_path: Path) -> None:
    context = tmp_path / "context"
    for source in copied("wheel"):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            context.mkdir(exist_ok=True)
            shutil.copy(ROOT / source, context / source)
    (build,) = re.findall(r"^RUN (uv build .+)$", BODIES["wheel"], flags=re.MULTILINE)
    words = [str(tmp_path) if word == "/wheel" else word for word in build.split()]
    words[0] = str(Path(sys.executable).parent / "uv")
    subprocess.run([*words, "--python", sys.executable], cwd=context, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        about = archive.read(metadata).decode()
        licence = archive.read(metadata.replace("METADATA", "licenses/LICENSE"))
    package = context / "steel_training"
    assert packed == {path.relative_to(context).as_posix() for path in package.rglob("*") if path.is_file()}
    assert "steel_training/py.typed" in packed
    assert "License-Expression: Apache-2.0\n" in about
    assert licence == (ROOT / "LICENSE").read_bytes()
