"""How fast patches are read as single files and packed, from a folder and from S3: "Packed" in docs/speed.md.

    python benchmarks/packed_speed.py [--patches 20000] [--side 64] [--delay 10]

The S3 service is moto's, a process of its own on this machine, behind a proxy that adds --delay ms per request, as a service in the
same city would. Reads every patch in the order of the manifest, as a profile does, 16 at once from S3. Prints Markdown.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scale import dataset as make_dataset

from steel_training.data.dataset import find_dataset
from steel_training.ingest.packing import pack
from steel_training.storage import S3Storage, open_storage

MOTO = "from moto.server import ThreadedMotoServer as S; s = S('127.0.0.1', 0); s.start(); print(*s.get_host_and_port(), flush=True); input()"


def slow_road(host: str, port: int, delay: float) -> str:
    """Pass requests on, each after a delay in seconds; return its address."""

    class Road(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            time.sleep(delay)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            onward = http.client.HTTPConnection(host, port)
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            data = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.headers.get("Content-Length") or str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            onward.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = pass_on  # noqa: N815 - names that the library asks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Road)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def seconds(uri: str) -> float:
    """Read every patch once."""
    found = find_dataset(uri)
    paths = list(found.manifest["path"])
    started = time.monotonic()
    with ThreadPoolExecutor(1 if found.storage.is_local else 16) as pool:
        for _ in pool.map(found.storage.read, paths):
            pass
    return time.monotonic() - started


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--delay", type=float, default=10.0, help="ms a request")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(
            [sys.executable, "-c", MOTO],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as moto,
    ):
        assert moto.stdout is not None
        host, port = next(words for line in moto.stdout if len(words := line.split()) == 2 and words[1].isdigit())
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_SECRET_ACCESS_KEY": "secret", "STEEL_TRAINING_SCRATCH": f"{scratch}/cache",  # pragma: allowlist secret
        }  # fmt: skip
        single, packed = f"{scratch}/single", f"{scratch}/packed"
        make_dataset(Path(single), options.patches, options.side)
        pack(single, packed)
        S3Storage("steel").client.create_bucket(Bucket="steel")
        for name, folder in (("single", single), ("packed", packed)):
            open_storage(f"s3://steel/{name}").put_folder(Path(folder), "", last="manifest.csv")
        os.environ["AWS_ENDPOINT_URL"] = slow_road(host, int(port), options.delay / 1e3)
        print(f"{options.patches:,} patches of {options.side} pixels\n\n| read from | s | patches/s |\n|---|---|---|")
        for what, uri in (
            ("single files in a folder", single), ("packed in a folder", packed),
            (f"single files on S3, {options.delay:.0f} ms a request", "s3://steel/single"),
            ("packed on S3, first time on this machine", "s3://steel/packed"), ("packed on S3, later", "s3://steel/packed"),
        ):  # fmt: skip
            took = seconds(uri)
            print(f"| {what} | {took:.2f} | {options.patches / took:,.0f} |", flush=True)
        moto.kill()


if __name__ == "__main__":
    main()
