"""A road to an S3 service on which things go wrong: an HTTP server that passes requests on, or does not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Fault = str
"""One of `FAULTS`, or empty for none."""

FAULTS = ("503", "500", "429", "lost before", "lost after", "truncated", "slow", "changed")

_REFUSALS = {"503": "SlowDown", "500": "InternalError", "429": "Throttling", "skewed": "RequestTimeTooSkewed"}


class FailingRoad:
    """Passes HTTP requests on to a server; `choose` says of each (method, path) what goes wrong on the way.

    Attributes:
        choose: called for every request.
        met: how often each fault happened.
    """

    def __init__(self, address: str) -> None:
        self.choose: Callable[[str, str], Fault] = lambda method, path: ""
        self.met: Counter[str] = Counter()
        host = urlsplit(address).netloc
        road = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self._body()
                fault = road.choose(self.command, self.path)
                road.met[fault] += bool(fault)
                if fault in _REFUSALS:
                    return self._refuse(403 if fault == "skewed" else int(fault), _REFUSALS[fault])
                if fault == "lost before":
                    return self._hang_up()
                if fault == "slow":
                    threading.Event().wait(0.3)
                if fault == "changed" and self.command == "PUT" and body:
                    body = bytes([body[0] ^ 1]) + body[1:]
                connection = HTTPConnection(host)
                kept = {
                    k: v for k, v in self.headers.items() if k.lower() not in ("expect", "connection", "content-length")
                }
                if fault == "changed":
                    kept = {k: v for k, v in kept.items() if "checksum" not in k.lower() and k.lower() != "content-md5"}
                connection.request(self.command, self.path, body, {**kept, "Content-Length": str(len(body))})
                answer = connection.getresponse()
                data = answer.read()
                if fault == "changed" and self.command == "GET" and data and "?" not in self.path:
                    data = bytes([data[0] ^ 1]) + data[1:]
                if fault == "lost after":
                    return self._hang_up()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "date", "server", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if fault == "truncated" and self.command == "GET":
                    self.wfile.write(data[: len(data) // 2])
                    return self._hang_up()
                self.wfile.write(data)
                return None

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass

            def _body(self) -> bytes:
                if "100-continue" in self.headers.get("Expect", ""):
                    self.send_response_only(100)
                    self.end_headers()
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _refuse(self, status: int, code: str) -> None:
                data = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def _hang_up(self) -> None:
                self.wfile.flush()
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()
