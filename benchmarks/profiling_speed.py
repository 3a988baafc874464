"""Patches per second of the dataset profile, compared with CleanVision on the same files.

    python benchmarks/profiling_speed.py [--patches 5000] [--peer PYTHON_WITH_CLEANVISION]

Draws strips and cuts them into PNG patches of 64 pixels. Ours decodes each once and measures brightness, contrast, sharpness, file
traces, pixel hash, signature and the keypoints for the same-steel search; CleanVision runs its own checks. Both use all
cores; wall seconds, the best of three. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

from steel_training.data.dataset import find_dataset
from steel_training.data.profile import profile_patches
from steel_training.ingest.synthetic.sample import make_sample

PEER = Path(__file__).parent / "peers" / "cleanvision_profile.py"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=5000)
    parser.add_argument("--peer", help="a Python that has CleanVision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        make_sample(f"{scratch}/strips", coils=max(2, options.patches // 104), photographs_per_coil=4)
        dataset = find_dataset(f"{scratch}/strips")
        rows = dataset.manifest
        ours, theirs, checks = [], [], 0
        for _ in range(3):
            started = time.monotonic()
            profile = profile_patches(dataset.storage, rows)
            ours.append(time.monotonic() - started)
            assert profile["decode_error"].fillna("").eq("").all()
            if options.peer:
                done = subprocess.run(
                    [options.peer, PEER, f"{scratch}/strips/patches"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    check=True,
                )
                reported = json.loads(done.stdout.splitlines()[-1])
                assert reported["images"] == len(rows)
                theirs.append(reported["seconds"])
                checks = reported["checks"]
        print(f"| {len(rows):,} patches | seconds | patches/s | values a patch |\n|---|---|---|---|")
        print(
            f"| profile | {min(ours):.1f} | {len(rows) / min(ours):,.0f} | {profile.shape[1] - rows.shape[1]}, and keypoints |"
        )
        if theirs:
            print(f"| CleanVision | {min(theirs):.1f} | {len(rows) / min(theirs):,.0f} | {checks} checks |")
            print(f"\n{min(theirs) / min(ours):.1f} times its patches a second.")


if __name__ == "__main__":
    main()
