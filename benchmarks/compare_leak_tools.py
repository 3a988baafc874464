"""The leak probes compared with other tools, on the same planted leaks: the table of docs/leak-tools.md.

    python benchmarks/compare_leak_tools.py [--seeds 3] [--photographs IMAGES MASKS] --tool NAME=PYTHON …

Every tool runs in an environment of its own, with the script of `leak_tools/` of its name (cleanvision, datalab, fiftyone,
deepchecks), on the same files as our probes. Tools that need embeddings get those of EfficientNetB0 with our steel weights. A tool has
found a kind of leak if it raises more or other alarms than on the clean set of the same seed; an alarm on a clean set is a false
alarm. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from leak_plants import HONEST, PLANTED, Data, SourceImages, drawn
from leak_probes import verdicts
from PIL import Image

_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp"}
_EMBEDDED_AT = 64
OURS = "these probes"

Findings = dict[str, dict[str, int]]
"""Alarms of one tool by set, each with how often it was raised."""


def write(data: Data, folder: Path) -> None:
    """Write a set as a dataset, with embeddings beside it."""
    rows = []
    (folder / "patches").mkdir(parents=True)
    for number, patch in enumerate(data):
        path = f"patches/p{number:05d}{_SUFFIX[patch.form]}"
        (folder / path).write_bytes(patch.stored())
        rows.append({"path": path, "label": patch.label, "split": patch.split})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    np.save(folder / "embeddings.npy", embeddings([patch.pixels for patch in data]))


def embeddings(images: list[np.ndarray]) -> np.ndarray:
    """Return the pooled last features, float32 (n, 1280)."""
    import tensorflow as tf

    network = _network()
    pixels = np.stack(
        [np.asarray(Image.fromarray(image).convert("RGB").resize((_EMBEDDED_AT, _EMBEDDED_AT))) for image in images]
    )
    return np.concatenate(
        [network(tf.constant(pixels[i : i + 64], tf.float32)).numpy() for i in range(0, len(pixels), 64)]
    )


def _network(made: list[Callable] = []) -> Callable:  # noqa: B006 - built once
    if not made:
        import keras
        import tensorflow as tf

        from steel_training.training.backbones import SPECS
        from steel_training.training.pretrained_weights import load_weights

        spec = SPECS["EfficientNetB0"]
        backbone = spec.build(_EMBEDDED_AT)
        load_weights(backbone, spec, "steel")
        pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
        made.append(tf.function(keras.Model(backbone.input, pooled), reduce_retracing=True))
    return made[0]


def found_by(python: str, tool: str, folders: list[Path]) -> tuple[Findings, float]:
    """Run a tool on sets; return its alarms, and the seconds for all of them."""
    script = Path(__file__).parent / "leak_tools" / f"{tool}_.py"
    done = subprocess.run([python, str(script), *map(str, folders)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{tool} failed:\n{done.stderr[-2000:]}")
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"set"')]
    return {each["set"]: each["alarms"] for each in results}, sum(each["seconds"] for each in results)


def more_than(alarms: dict[str, int], clean: dict[str, int]) -> bool:
    """Return whether a planted set raised an alarm that the clean set did not raise, or more often."""
    return any(count > clean.get(name, 0) for name, count in alarms.items())


def compare(name: str, sample: Callable[[int], Data], seeds: int, tools: dict[str, str]) -> None:
    """Print the tables for one kind of steel."""
    caught: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    cried: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    took: dict[str, float] = defaultdict(float)
    for seed in range(100, 100 + seeds):
        base = sample(seed)
        sets = {kind: change(base, seed) for kind, change in HONEST.items()}
        sets |= {kind: plant(base, np.random.default_rng(seed)) for kind, (plant, _) in PLANTED.items()}
        with tempfile.TemporaryDirectory() as scratch:
            folders = {kind: Path(scratch, f"set{number:02d}") for number, kind in enumerate(sets)}
            for kind, data in sets.items():
                write(data, folders[kind])
            findings: dict[str, Findings] = {OURS: {}}
            for kind, data in sets.items():
                verdict, seconds = verdicts(data)
                took[OURS] += seconds
                judged = [probe for probe in verdict if not probe.passed and probe.judged]
                findings[OURS][folders[kind].name] = {
                    probe.code: max(1, int(probe.statistic)) for probe in judged if probe.decisive or kind in PLANTED
                }
            for tool, python in tools.items():
                findings[tool], seconds = found_by(python, tool, list(folders.values()))
                took[tool] += seconds
                print(f"{name}: seed {seed}, {tool} done, {seconds:.0f} s", file=sys.stderr, flush=True)
            clean = {tool: each[folders["as it is"].name] for tool, each in findings.items()}
            for tool, each in findings.items():
                for kind in HONEST:
                    cried[tool][kind] += bool(each[folders[kind].name])
                for kind in PLANTED:
                    caught[tool][kind] += more_than(each[folders[kind].name], clean[tool])
    columns = [OURS, *tools]
    print(f"\n**{name}**, {seeds} seeds\n\n| planted | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for kind in PLANTED:
        print(f"| {kind} | {' | '.join(f'{caught[tool][kind]} of {seeds}' for tool in columns)} |")
    print(
        f"| **kinds always found, of {len(PLANTED)}** | {' | '.join(str(sum(caught[tool][kind] == seeds for kind in PLANTED)) for tool in columns)} |"
    )
    for kind in HONEST:
        print(
            f"| alarms on data without leaks: {kind} | {' | '.join(f'{cried[tool][kind]} of {seeds}' for tool in columns)} |"
        )
    sets = seeds * (len(HONEST) + len(PLANTED))
    print(f"| seconds per set | {' | '.join(f'{took[tool] / sets:.1f}' for tool in columns)} |", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photographs", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    parser.add_argument("--tool", action="append", default=[], metavar="NAME=PYTHON")
    options = parser.parse_args()
    tools = dict(each.split("=", 1) for each in options.tool)
    compare("synthetic strips", drawn, options.seeds, tools)
    if options.photographs:
        compare("real images", SourceImages.read(*options.photographs).sample, options.seeds, tools)


if __name__ == "__main__":
    main()
