"""Ten thousand spoiled files and manifests spoiled at random: never a crash, always a named reason, and nothing is published."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.ingest.synthetic.sample import make_sample

FILES = 10_000


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def truncated(data: bytes, image: Image.Image, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def flipped(data: bytes, image: Image.Image, chance: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(chance.choice([1, 4, 40])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


def gigapixel(data: bytes, image: Image.Image, chance: random.Random) -> bytes:
    """A PNG whose header promises 100,000 pixels a side, with a checksum that is right."""
    import struct
    import zlib

    png = encoded(image, "PNG")
    header = struct.pack(">II", 100_000, 100_000) + png[24:29]
    return png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:]


def animated(data: bytes, image: Image.Image, chance: random.Random) -> bytes:
    kind = chance.choice(["GIF", "PNG"])
    return encoded(image, kind, save_all=True, append_images=[image.rotate(90), image.rotate(180)])


def rotated(data: bytes, image: Image.Image, chance: random.Random) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = chance.randrange(1, 9)
    return encoded(image, "JPEG", exif=exif)


SPOIL: dict[str, Callable[[bytes, Image.Image, random.Random], bytes]] = {
    "truncated": truncated,
    "flipped": flipped,
    "other format": lambda data, image, chance: encoded(image, chance.choice(["JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])),
    "16 bit": lambda data, image, chance: encoded(Image.fromarray(np.asarray(image).astype(np.uint16) * 257), "PNG"),
    "float": lambda data, image, chance: encoded(Image.fromarray(np.asarray(image).astype(np.float32)), "TIFF"),
    "cmyk": lambda data, image, chance: encoded(image.convert("CMYK"), chance.choice(["JPEG", "TIFF"])),
    "colour": lambda data, image, chance: encoded(image.convert("RGB"), chance.choice(["PNG", "BMP"])),
    "alpha": lambda data, image, chance: encoded(image.convert(chance.choice(["RGBA", "LA"])), "PNG"),
    "palette": lambda data, image, chance: encoded(image.convert("P"), "PNG"),
    "one bit": lambda data, image, chance: encoded(image.convert("1"), "PNG"),
    "animated": animated,
    "rotated": rotated,
    "other size": lambda data, image, chance: encoded(image.resize((chance.randrange(1, 90), chance.randrange(1, 90))), "PNG"),
    "gigapixel": gigapixel,
    "empty": lambda data, image, chance: b"",
    "text": lambda data, image, chance: b"patch_id,path,label\n" * chance.randrange(1, 50),
    "noise": lambda data, image, chance: chance.randbytes(chance.randrange(1, 5000)),
    "archive": lambda data, image, chance: b"PK\x03\x04" + chance.randbytes(500),
}  # fmt: skip


def stages(store: Path, data: Path, *words: str) -> tuple[str, int, str]:
    """Does the stages up to validation; returns the last one, its exit code and what it said."""
    for stage in ("resolve_dataset", "profile_patches", "validate_patches"):
        first = ["--dataset", str(data)] if stage == "resolve_dataset" else []
        command = [
            sys.executable,
            "-m",
            "steel_training",
            stage,
            "--run-id",
            "r",
            "--store",
            str(store),
            *first,
            *words,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        if done.returncode:
            break
    return stage, done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_10000_corrupt_files_are_named_and_block(tmp_path: Path) -> None:
    chance = random.Random(seed := int.from_bytes(os.urandom(6)))
    sys.stdout.write(f"\nseed {seed}\n")  # shown with a failure
    folder = tmp_path / "data"
    (folder / "patches").mkdir(parents=True)
    rows, kinds = [], Counter[str]()
    for number in range(FILES):
        kind = chance.choice(list(SPOIL))
        grey = np.random.default_rng(number).normal(120, 12, (64, 64)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(grey)
        name = f"patches/{number:05d}.{chance.choice(['png', 'jpg', 'bmp', 'tif'])}"
        (folder / name).write_bytes(SPOIL[kind](encoded(image, chance.choice(["PNG", "JPEG", "BMP"])), image, chance))
        kinds[kind] += 1
        rows.append({"patch_id": f"p{number}", "path": name, "label": number % 3 % 2, "source_id": f"s{number // 20}"})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    stage, code, said = stages(tmp_path / "store", folder)
    assert (stage, code) == ("validate_patches", 4), said[-2000:]
    result = json.loads((tmp_path / "store/runs/r/validate_patches/result.json").read_text())
    codes = {reason["code"] for reason in result["reasons"]}
    assert {"data.decodable", "data.mode", "data.one_size", "data.one_mode"} <= codes, codes
    profile = pd.read_parquet(tmp_path / "store/runs/r/profile_patches/profile.parquet")
    unreadable = profile[profile["decode_error"].fillna("") != ""]
    told = next(reason["message"] for reason in result["reasons"] if reason["code"] == "data.decodable")
    assert all(f"{patch} (" in told for patch in unreadable["patch_id"][:10]), (
        "the message names patches and what is wrong"
    )
    assert len(unreadable) > FILES / 5
    assert not (tmp_path / "store" / "models").exists() or not list((tmp_path / "store/models").rglob("versions/*"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    sys.stdout.write(f"\n{dict(kinds)}; {len(unreadable):,} unreadable; highest memory {peak:.2f} GB\n")
    assert peak < 1.5


def spoiled(manifest: pd.DataFrame, chance: random.Random) -> bytes:
    """A manifest with one to three things wrong."""
    table = manifest.copy().astype(object)
    for _ in range(chance.randrange(1, 4)):
        column, some = (
            chance.choice(list(table)),
            table.sample(frac=chance.choice([0.01, 0.3, 1.0]), random_state=chance.randrange(2**31)).index,
        )
        value = chance.choice(
            [
                "",
                "nan",
                "../../etc/passwd",
                "/etc/passwd",
                -1,
                2,
                1e308,
                "ä" * 3000,
                "'; DROP TABLE",
                "<script>",
                "\0",
                0,
                1,
                "train",
            ]
        )
        match chance.randrange(5):
            case 0:
                table.loc[some, column] = value
            case 1:
                table = table.drop(columns=column) if table.shape[1] > 1 else table
            case 2:
                table = pd.concat([table, table.loc[some]])
            case 3:
                table = table.loc[some]
            case 4:
                table[chance.choice(["split", "x", "group_id", "anchors", "part", "score"])] = value
    data = table.to_csv(index=False).encode("utf-8", "replace")
    if chance.random() < 0.15:
        data = data[: chance.randrange(len(data) + 1)] + chance.randbytes(chance.choice([0, 40]))
    return data


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_corrupt_manifest_is_read_or_refused_by_name(tmp_path: Path) -> None:
    make_sample(str(tmp_path / "good"), coils=8, photographs_per_coil=1)
    good = pd.read_csv(tmp_path / "good" / "manifest.csv")
    ends = Counter[tuple[str, int]]()
    for number in range(25):
        chance = random.Random(seed := int.from_bytes(os.urandom(6)))
        data = tmp_path / "data"
        if not data.exists():
            data.mkdir()
            (data / "patches").symlink_to(tmp_path / "good" / "patches")
        (data / "manifest.csv").write_bytes(spoiled(good, chance))
        stage, code, said = stages(tmp_path / f"store{number}", data)
        ends[stage, code] += 1
        assert code in {0, 2, 4}, f"seed {seed}: {stage} ended with {code}: {said[-1500:]}"
        if code == 2:
            assert said.strip().splitlines()[-1].startswith("steel-training: "), f"seed {seed}: {said[-500:]}"
        if code == 4:
            result = json.loads((tmp_path / f"store{number}/runs/r/validate_patches/result.json").read_text())
            assert result["reasons"], f"seed {seed}"
    sys.stdout.write(f"\n{dict(ends)}\n")
    assert len(ends) >= 2
