"""How fast photographs with run lengths become patches, against decoding and encoding alone: "Ingest" in docs/speed.md.

    python benchmarks/ingest_speed.py [--photographs 1000] [--full] [--s3] [--scratch FOLDER]

Draws grey photographs of 1600×256 (JPEG, stored as RGB, as Kaggle's Severstal has them), a third with defects, and ingests them as `steel-training ingest
severstal` does by default: 256-pixel patches, 11.5 per photograph. `--full` takes all 12,568. The floor is a loop that decodes the same files and encodes the
same windows with the same library and settings, in one process, into one folder; its files are not synced. Memory is the highest of the process. Then the same
ingest is killed (SIGKILL) when half of the patches are encoded, and repeated; both results must be equal, file by file. `--s3` does it from and to moto's S3
service on this machine. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from steel_training.ingest.cut_rule import SEVERSTAL_RULE
from steel_training.storage import S3Storage, open_storage

ALL, WIDTH, HEIGHT = 12_568, 1600, 256
MOTO = "from moto.server import ThreadedMotoServer as S; s = S('127.0.0.1', 0); s.start(); print(*s.get_host_and_port(), flush=True); input()"
MEASURED = """
import resource, sys, time
from steel_training.cli import main
started = time.monotonic(), time.process_time()
status = main(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_SELF)
print("took", time.monotonic() - started[0], time.process_time() - started[1], usage.ru_maxrss)
sys.exit(status)
"""


def draw(folder: Path, count: int) -> Path:
    """Write the photographs and their table; return the table."""
    (folder / "images").mkdir(parents=True)
    grain = np.random.default_rng(0).normal(0, 14, (HEIGHT + 64, 4 * WIDTH))
    grain = gaussian_filter(grain, (1.0, 2.0)) * 3
    rows = ["ImageId,ClassId,EncodedPixels"]
    for number in range(count):
        random = np.random.default_rng(number)
        top, left = random.integers(64), random.integers(3 * WIDTH)
        pixels = 90 + 40 * random.random() + grain[top : top + HEIGHT, left : left + WIDTH]
        if number % 3 == 0:
            x, y, across, down = random.integers((0, 0, 30, 20), (1500, 200, 50, 30))
            pixels[y : y + down, x : x + across] -= 40
            runs = " ".join(
                f"{column * HEIGHT + y + 1} {min(down, HEIGHT - y)}" for column in range(x, min(x + across, WIDTH))
            )
            rows.append(f"{number:05d}.jpg,{number % 4 + 1},{runs}")
        grey = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        grey.convert("RGB").save(folder / "images" / f"{number:05d}.jpg", quality=90)
    table = folder / "train.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def floor(images: Path, out: Path) -> tuple[float, float]:
    """Decode the photographs and encode their windows, and no more; return seconds of the clock and of the processor."""
    out.mkdir()
    started = time.monotonic(), time.process_time()
    columns, rows = SEVERSTAL_RULE.starts(WIDTH), SEVERSTAL_RULE.starts(HEIGHT)
    for path in sorted(images.iterdir()):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        for y in rows:
            for x in columns:
                piece = Image.fromarray(pixels[y : y + SEVERSTAL_RULE.patch, x : x + SEVERSTAL_RULE.patch])
                piece.save(out / f"{path.stem}_{x}_{y}.png", format="PNG", compress_level=1)
    return time.monotonic() - started[0], time.process_time() - started[1]


def ingest(words: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Ingest in a process of its own; return seconds of the clock, of the processor, and MB."""
    done = subprocess.run([sys.executable, "-c", MEASURED, *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    _, wall, cpu, kilobytes = done.stdout.strip().splitlines()[-1].split()
    return float(wall), float(cpu), float(kilobytes) / 1024


def killed_at_half(words: list[str], environment: dict[str, str], patches: int) -> tuple[float, int]:
    """Ingest, and kill the process when half of the patches are encoded; return its seconds, and how many there are."""
    kept = Path(environment["STEEL_TRAINING_SCRATCH"], "ingest")
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "steel_training", *words], env=environment, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        if (found := sum(1 for _ in kept.glob("*/dataset/patches/*"))) >= patches // 2:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return time.monotonic() - started, found
        time.sleep(0.5)
    raise SystemExit("The ingest ended before it could be killed; take more photographs.")


def same(one: str, other: str) -> bool:
    """Return whether two datasets have the same files with the same content."""
    left, right = ({entry.key: entry.size for entry in open_storage(uri).entries()} for uri in (one, other))
    return left == right and all(open_storage(one).read(key) == open_storage(other).read(key) for key in left)


@contextmanager
def s3_service() -> Iterator[None]:
    """Start moto's S3 service, and let the environment lead to it."""
    words = [sys.executable, "-c", MOTO]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as moto:
        assert moto.stdout is not None
        host, port = next(found for line in moto.stdout if len(found := line.split()) == 2 and found[1].isdigit())
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_SECRET_ACCESS_KEY": "secret",  # pragma: allowlist secret
        }  # fmt: skip
        S3Storage("steel").client.create_bucket(Bucket="steel")
        yield
        moto.kill()


def measure(where: str, source: str, table: str, out: str, count: int, alone: tuple[float, float]) -> None:
    """Ingest, kill and repeat; print rows of the table."""
    environment = dict(os.environ)
    words = ["ingest", "severstal", source, table, out, "--missing", "clean"]
    wall, cpu, memory = ingest(words, environment)
    patches = sum(entry.key.endswith(".png") for entry in open_storage(out).entries())

    def row(what: str, seconds: float, busy: float | None, most: float | None) -> None:
        times = f"{seconds / alone[0]:.2f}" + (f", {busy / alone[1]:.2f} of processor time" if busy else "")
        memory_text = f"{most:,.0f}" if most else ""
        print(f"| {where} | {what} | {seconds:.0f} | {count / seconds:.1f} | {times} | {memory_text} |", flush=True)

    row(f"ingest, {patches:,} patches", wall, cpu, memory)
    again = [*words[:4], f"{out}-killed", *words[5:]]
    before, found = killed_at_half(again, environment, patches)
    print(f"| {where} | killed with {found:,} patches encoded | {before:.0f} | | | |", flush=True)
    wall, cpu, memory = ingest(again, environment)
    row("repeated: the rest", wall, cpu, memory)
    print(
        f"| {where} | both results equal, file by file | {'yes' if same(out, f'{out}-killed') else 'NO'} | | | |",
        flush=True,
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=1_000)
    parser.add_argument("--full", action="store_true", help=f"all {ALL:,}")
    parser.add_argument("--s3", action="store_true", help="also from and to S3")
    parser.add_argument("--scratch", help="folder for everything; outside the repository")
    options = parser.parse_args()
    count = ALL if options.full else options.photographs
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        os.environ["STEEL_TRAINING_SCRATCH"] = f"{scratch}/cache"
        data = Path(scratch, "data")
        table = draw(data, count)
        print(f"{count:,} photographs of {WIDTH}×{HEIGHT}\n")
        print("| | what | s | photographs/s | times the floor | most MB |\n|---|---|---|---|---|---|")
        alone = floor(data / "images", Path(scratch, "floor"))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| floor | decode and encode alone | {alone[0]:.0f} | {count / alone[0]:.1f} | 1 | {most:,.0f} |",
            flush=True,
        )
        measure("folder", str(data / "images"), str(table), f"{scratch}/out", count, alone)
        if options.s3:
            with s3_service():
                open_storage("s3://steel/data").put_folder(data, "", last="train.csv")
                measure("S3", "s3://steel/data/images", "s3://steel/data/train.csv", "s3://steel/out", count, alone)


if __name__ == "__main__":
    main()
