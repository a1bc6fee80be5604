"""A hub on this machine: the few answers of Hugging Face that a download asks for, with faults to order."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

REVISION = "0123456789abcdef0123456789abcdef01234567"
FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG"}


@dataclass
class FakeHub:
    """Files by path, and what goes wrong: set before a request, counted down as it happens.

    Parameters
    ----------
    files : dict
        Content by path.
    cut : int
        So many downloads end after ``cut_after`` bytes.
    broken : int
        So many requests are answered with 503.
    lies : dict
        Other content that is given for a path, under the checksum of the true one.
    ranges : bool
        Whether the server knows ranges.
    page : int
        Entries of the tree on one page.
    elsewhere : bool
        Whether downloads are sent on to another address, as the real hub does.
    """

    files: dict[str, bytes]
    cut: int = 0
    cut_after: int = 1000
    broken: int = 0
    lies: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    page: int = 2
    elsewhere: bool = False
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    address: str = ""

    def __enter__(self) -> FakeHub:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        server.daemon_threads = True
        self._server = server
        self.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def downloads(self) -> list[str]:
        """Paths asked for without a range, and where ranges began: ``a.parquet``, ``a.parquet@1000``."""
        return [f"{path}@{r.split('=')[1].split('-')[0]}" if r else path for path, r in self.requests]

    def tree(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "data", "oid": "0" * 40}]
        for path, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": path, "oid": blob, "size": len(content)}
            if path.endswith(".parquet"):
                sha = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return entries


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def do_GET(self) -> None:
        hub, url = self.hub, urllib.parse.urlsplit(self.path)
        if hub.broken:
            hub.broken -= 1
            return self._answer(503, b"")
        base = "/api/datasets/tricao1105/MultilevelADSet"
        if url.path == f"{base}/revision/main":
            return self._answer(200, json.dumps({"sha": REVISION}).encode())
        if url.path == f"{base}/tree/{REVISION}":
            return self._tree(urllib.parse.parse_qs(url.query))
        prefix = f"/datasets/tricao1105/MultilevelADSet/resolve/{REVISION}/"
        if hub.elsewhere and url.path.startswith(prefix):
            return self._answer(302, b"", {"Location": f"{hub.address}/store{self.path}"})
        path = urllib.parse.unquote(url.path.removeprefix("/store").removeprefix(prefix))
        if prefix not in url.path or path not in hub.files:
            return self._answer(404, b"")
        self._file(path)

    def _tree(self, query: Mapping[str, list[str]]) -> None:
        entries, at = self.hub.tree(), int(query.get("cursor", ["0"])[0])
        page, more = entries[at : at + self.hub.page], at + self.hub.page
        link = {}
        if more < len(entries):
            link = {"Link": f'<{self.hub.address}{self.path.split("?")[0]}?recursive=true&cursor={more}>; rel="next"'}
        self._answer(200, json.dumps(page).encode(), link)

    def _file(self, path: str) -> None:
        hub, asked = self.hub, self.headers.get("Range")
        hub.requests.append((path, asked))
        content, begin, status = hub.lies.get(path, hub.files[path]), 0, 200
        end = len(content)
        if asked and hub.ranges:
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
            assert found
            begin, end = int(found[1]), int(found[2] or end - 1) + 1
            if begin >= len(content):
                return self._answer(416, b"")
            status = 206
        self._answer(status, content[begin:end], path=path, cuttable=True)

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, path: str = "", cuttable: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cuttable and self.hub.cut:
            self.hub.cut -= 1
            body = body[: self.hub.cut_after]
            self.close_connection = True
        self.hub.sent[path] = self.hub.sent.get(path, 0) + len(body)
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def picture(name: str, side: int = 12) -> bytes:
    """The bytes of a picture whose pixels follow from its name, in the format of its suffix."""
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, FORMATS[name.rpartition(".")[2].lower()])
    return out.getvalue()


def shard(images: Iterable[tuple[str, bytes | None]], rows: int = 3) -> bytes:
    """A shard as `datasets` writes it: structures of bytes and path, and the path in the tree."""
    pairs = list(images)
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": data, "path": path.rpartition("/")[2]} for path, data in pairs],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            "relative_path": pa.array([path for path, _ in pairs], pa.string()),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=rows, compression="none")
    return out.getvalue()


def pictures(*names: str) -> bytes:
    """A shard of drawn pictures under these paths."""
    return shard((name, picture(name)) for name in names)
