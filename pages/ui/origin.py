"""Who may hold a socket to this server: its own pages. And no other site may frame them.

Streamlit also lets any page of ``localhost`` in, and refuses a stranger only in the event loop.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

POLICY_VIOLATION = 1008
UNFRAMED = "frame-ancestors 'none'"


class OwnPagesOnly:
    """ASGI middleware: refuses sockets of other origins, and forbids frames around what is answered.

    A client that is no browser sends no ``Origin`` and may come in; every browser sends it with a handshake.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not same_origin(scope):
            await WebSocket(scope, receive, send).close(POLICY_VIOLATION)
        elif scope["type"] == "http":
            await self.app(scope, receive, _unframed(send))
        else:
            await self.app(scope, receive, send)


def same_origin(scope: Scope) -> bool:
    """Whether a request comes from a page of the host it is sent to; not from a plain page to an HTTPS server."""
    headers = Headers(scope=scope)
    origins, hosts = headers.getlist("origin"), headers.getlist("host")
    if not origins:
        return True
    if len(origins) > 1 or len(hosts) != 1:
        return False
    scheme, _, host = origins[0].partition("://")
    secure = scope.get("scheme") in ("wss", "https") or headers.get("x-forwarded-proto") == "https"
    return host == hosts[0] and (scheme == "https" or (scheme == "http" and not secure))


def _unframed(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if not any("frame-ancestors" in policy for policy in headers.getlist("content-security-policy")):
                headers.append("Content-Security-Policy", UNFRAMED)
            headers["X-Frame-Options"] = "DENY"
        await send(message)

    return answer
