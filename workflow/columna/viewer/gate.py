"""Who may speak to the server of the review, and what browsers may do with its answers."""

import hashlib
import ipaddress
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""NiiVue takes the letters that it draws from ``data:`` addresses of its own file."""
REPORT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Vega makes functions of its charts, and styles them."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Other pages, also those of other servers of this machine, embed and read nothing."""
ENTRY = (
    '<!DOCTYPE html><html lang="en"><head><title>columna</title><link rel="icon" href="data:,">'
    '<meta http-equiv="refresh" content="0; url=/review/"></head>'
    '<body><a href="/review/">Review</a></body></html>'
)
"""A page and no redirection: the cookie is not sent along with one that another site began."""


class Gate:
    """Lets requests through that come from this machine's browser and know the token.

    Parameters
    ----------
    app
        What is behind the gate.
    token
        What the first address has to hold (``/?token=...``); from then on a cookie has it.

    Notes
    -----
    The host must be a loopback name, so that no name of another site that leads here is let in
    (DNS rebinding); its port may be any, as an ssh tunnel has one of its own. An origin must be
    that host and port: pages of other servers of this machine are foreign, too.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token
        # cookies do not know of ports: each server has a name of its own
        self.cookie = f"columna-{hashlib.sha256(token.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no web sockets here
        answer = self._answer(Request(scope))
        await (answer or self.app)(scope, receive, _with_headers(scope, send))

    def _answer(self, request: Request) -> Response | None:
        """The answer to what goes no further."""
        if problem := _problem(request.headers, request.scope["path"]):
            return PlainTextResponse(problem[1], problem[0])
        if request.url.path == "/" and self._knows(request.query_params.get("token")):
            entry = HTMLResponse(ENTRY)
            entry.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            return entry
        if not self._knows(request.cookies.get(self.cookie)):
            return PlainTextResponse("Open the address that `columna review` has printed.", 403)
        return None

    def _knows(self, token: str | None) -> bool:
        return token is not None and secrets.compare_digest(token.encode(), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether a name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _problem(headers: Headers, path: str) -> tuple[int, str] | None:
    """Status and text where a request is foreign, or asks for what is outside."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not _is_ours(f"//{hosts[0]}"):
        return 403, "This server is for this machine alone."
    if origins and origins != [f"http://{hosts[0]}"]:
        return 403, "This server is for its own pages alone."
    if ".." in path.replace("\\", "/").split("/") or "\0" in path:
        return 400, "There is no such page."
    return None


def _is_ours(address: str) -> bool:
    try:
        parts = urlsplit(address)
        has_port_or_none = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = "@" not in parts.netloc and not (parts.path or parts.query or parts.fragment)
    return has_port_or_none and is_plain and is_loopback(parts.hostname or "")


def _with_headers(scope: Scope, send: Send) -> Send:
    """`send` that adds what every answer says to browsers."""
    is_report = scope["path"].startswith("/report/")
    policy = REPORT_POLICY if is_report else OWN_POLICY

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**HEADERS, "Content-Security-Policy": policy})
        await send(message)

    return sending
