"""What stands around the app where it serves others: a reverse proxy below a path, and a provider of logins."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT, CLIENT_SECRET = "mad-inspector", "planted-client-secret-0123456789"


# -- the provider ---------------------------------------------------------------------------------


@dataclass
class Provider:
    """An OpenID Connect provider that lets everybody in at once, as whom ``person`` says."""

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@contextlib.contextmanager
def providing() -> Iterator[Provider]:
    """Run a provider: discovery, authorization with a code, tokens signed by RS256, and its keys."""
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048, parameters={"kid": "k1", "use": "sig", "alg": "RS256"})
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                self._json(_discovery(provider.url))
            elif parts.path == "/jwks":
                self._json({"keys": [key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                code = f"code{len(provider.codes)}"
                provider.codes[code] = {**asked, "person": dict(provider.person)}
                back = urlencode({"code": code, "state": asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            given = {name: values[0] for name, values in parse_qs(sent).items()}
            who = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
            asked = provider.codes.pop(given.get("code", ""), None)
            if asked is None or self.headers.get("Authorization") != f"Basic {who}":
                provider.refused.append(given.get("code", ""))
                self._json({"error": "invalid_grant"}, 400)
                return
            now = int(time.time())
            claims = {"iss": provider.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked.get("nonce")}
            token = jwt.encode({"alg": "RS256", "kid": "k1"}, {**claims, **asked["person"]}, key)
            self._json({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

        def _json(self, data: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _discovery(url: str) -> dict[str, Any]:
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "jwks_uri": f"{url}/jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }


# -- the proxies ------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[2] / "docs" / "serving.md"


def as_documented(begin: str, upstream_port: int) -> str:
    """The proxy's configuration in the documentation, below the line ``begin``, for the app's port of the test."""
    block = DOCUMENT.read_text(encoding="utf-8").split(f"\n{begin}\n", 1)[1].split("\n```", 1)[0]
    stated = "127.0.0.1:8501"
    assert block.count(stated) == 1
    return block.replace(stated, f"127.0.0.1:{upstream_port}")


@contextlib.contextmanager
def nginx(port: int, upstream_port: int, path: str, folder: Path) -> Iterator[str]:
    """nginx with what the documentation says."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"""{"user root;" if os.geteuid() == 0 else ""}
        daemon off;
        pid {folder / "nginx.pid"};
        events {{}}
        http {{
        access_log off;
        {places}
        server {{
        listen 127.0.0.1:{port};
        {as_documented("# nginx", upstream_port)}
        }}
        }}
        """
    )
    log = folder / "nginx.log"
    with _proxy(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(log)], port, log):
        yield f"http://127.0.0.1:{port}{path}"


@contextlib.contextmanager
def caddy(port: int, upstream_port: int, path: str, folder: Path) -> Iterator[str]:
    """Caddy with what the documentation says."""
    (folder / "Caddyfile").write_text(
        f"{{\nadmin off\n}}\nhttp://127.0.0.1:{port} {{\n{as_documented('# Caddyfile', upstream_port)}\n}}\n"
    )
    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with _proxy(command, port, folder / "caddy.log"):
        yield f"http://127.0.0.1:{port}{path}"


@contextlib.contextmanager
def _proxy(command: list[str], port: int, log: Path) -> Iterator[None]:
    environment = {**os.environ, "HOME": str(log.parent), "XDG_DATA_HOME": str(log.parent)}
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 30
        while not _listens(port):
            assert process.poll() is None and time.monotonic() < end, log.read_text(errors="replace")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def handshake(url: str, origin: str) -> tuple[int, float]:
    """Ask for the socket as a browser does: the status and the seconds until it came."""
    parts = urlsplit(url)
    key = base64.b64encode(b"0123456789abcdef").decode()
    asked = (
        f"GET {parts.path}/_stcore/stream HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: streamlit\r\n"
        f"Origin: {origin}\r\n\r\n"
    )
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20) as connection:
        began = time.monotonic()
        connection.sendall(asked.encode())
        answer = connection.recv(64)
        return int(answer.split()[1]), time.monotonic() - began


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def proxying(port: int, upstream_port: int, path: str) -> Iterator[str]:
    """Pass on what is asked for below ``path``, path and host name kept, sockets included; answer 404 to the rest."""
    from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web

    async def handle(request: web.Request) -> web.StreamResponse:
        if not request.path.startswith(f"{path}/") and request.path != path:
            return web.Response(status=404, text="The proxy serves nothing here.")
        address = f"http://127.0.0.1:{upstream_port}{request.raw_path}"
        dropped = ("connection", "upgrade", "content-length", "transfer-encoding", "accept-encoding")
        headers = {k: v for k, v in request.headers.items() if not k.lower().startswith(("sec-websocket", *dropped))}
        headers |= {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "http"}
        session = request.app["session"]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            asked = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if p.strip()]
            try:
                opened = await session.ws_connect(address, headers=headers, protocols=asked, max_msg_size=0)
            except WSServerHandshakeError as refused:
                return web.Response(status=refused.status)
            async with opened as upstream:
                chosen = [upstream.protocol] if upstream.protocol else []
                socket = web.WebSocketResponse(protocols=chosen, max_msg_size=0)
                await socket.prepare(request)

                async def pump(source: Any, target: Any) -> None:
                    async for message in source:
                        if message.type == WSMsgType.BINARY:
                            await target.send_bytes(message.data)
                        elif message.type == WSMsgType.TEXT:
                            await target.send_str(message.data)
                    await target.close()

                await asyncio.gather(pump(socket, upstream), pump(upstream, socket), return_exceptions=True)
                return socket
        body = await request.read()
        asking = session.request(request.method, address, headers=headers, data=body or None, allow_redirects=False)
        async with asking as got:
            answer = web.Response(status=got.status, body=await got.read())
            for name, value in got.headers.items():
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "content-encoding",
                    "connection",
                    "date",
                ):
                    answer.headers.add(name, value)
            return answer

    async def run(started: threading.Event) -> None:
        app = web.Application(client_max_size=1 << 30)
        app["session"] = ClientSession()
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        started.set()
        await ended.wait()
        await app["session"].close()
        await runner.cleanup()

    loop, ended, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(started)), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield f"http://127.0.0.1:{port}{path}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
        loop.close()
