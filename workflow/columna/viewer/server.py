"""`columna review`: the report and the pages of the review, for this machine alone."""

import json
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from columna.config import PrepareSettings
from columna.errors import ColumnaError, DecisionError
from columna.images.volume import Volume, load_volume
from columna.prepare.facts import input_sha256
from columna.prepare.read import read_volume
from columna.results.derivatives import Derivatives
from columna.viewer.gate import Gate, is_loopback
from columna.viewer.review_pages import HERE, Review
from columna.viewer.reviewed_scans import ReviewedScan
from columna.viewer.volumes import SPINE, VERTEBRAE, clean_nifti

OPEN_FOLDERS = ("report", "pictures", "derivatives", "tables")
"""Folders of the results that pages link to; nothing else of them is served."""
LONGEST_REQUEST = 20_000
SERVED = """
columna.review = (scan) => `/review/scan/${encodeURIComponent(scan)}`;
document.querySelector("nav").append(columna.element("a", { href: "/review/" }, "Work list"));
"""
"""Leads from the pages of the report to the review."""


def make_app(review: Review, prepare: PrepareSettings, token: str) -> Gate:
    """The application of a review, behind its gate.

    Parameters
    ----------
    review
        What is served.
    prepare
        Which images are accepted.
    token
        What a browser has to know.
    """
    answers = _Answers(review, prepare)
    scan_at = "/review/scan/{scan_id}"
    routes = [
        Route("/", answers.start),
        Route("/review/", answers.work),
        Route(scan_at, answers.page),
        Route(f"{scan_at}/image.nii.gz", answers.image),
        Route(f"{scan_at}/mask/{{mask}}.nii.gz", answers.mask),
        Route(f"{scan_at}/picture.webp", answers.picture),
        Route(f"{scan_at}/decisions", answers.decide, methods=["POST"]),
        Route("/report/data/meta.js", answers.meta),
        Mount("/review/static", StaticFiles(directory=HERE / "static")),
        *(
            Mount(f"/{name}", StaticFiles(directory=review.layout.root / name, check_dir=False))
            for name in OPEN_FOLDERS
        ),
    ]
    handlers = {DecisionError: _not_decided, ColumnaError: _not_now, OSError: _lost}
    return Gate(Starlette(routes=routes, exception_handlers=handlers), token)


@dataclass(frozen=True)
class _Answers:
    """What is answered to each request that the gate lets through."""

    review: Review
    prepare: PrepareSettings

    def start(self, _: Request) -> Response:
        return RedirectResponse("/review/", 303)

    def work(self, request: Request) -> Response:
        page = request.query_params.get("page", "")
        return HTMLResponse(self.review.work_page(int(page) if page.isdecimal() else 0))

    def page(self, request: Request) -> Response:
        return HTMLResponse(self.review.scan_page(self._scan(request)))

    def image(self, request: Request) -> Response:
        return _nifti(_image(self._scan(request), self.prepare))

    def mask(self, request: Request) -> Response:
        files = Derivatives(self.review.layout.derivatives, self._scan(request).scan_id)
        path = {SPINE: files.semantic, VERTEBRAE: files.instance}.get(request.path_params["mask"])
        if path is None or not path.is_file():
            raise HTTPException(404, "The scan has no such mask.")
        return _nifti(load_volume(path))

    def picture(self, request: Request) -> Response:
        path = self.review.layout.picture(self._scan(request).scan_id)
        if not path.is_file():
            raise HTTPException(404, "The scan has no picture.")
        return FileResponse(path)

    async def decide(self, request: Request) -> Response:
        scan, asked = self._scan(request), await _asked(request)
        await run_in_threadpool(self.review.desk.decide, scan.scan_id, asked)
        return JSONResponse(await run_in_threadpool(self.review.state, scan))

    def meta(self, _: Request) -> Response:
        path = self.review.layout.report / "data" / "meta.js"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return Response(text + SERVED, media_type="text/javascript")

    def _scan(self, request: Request) -> ReviewedScan:
        """The scan that the address names, among those of the cohort."""
        scan = self.review.scans.get(request.path_params["scan_id"])
        if scan is None:
            raise HTTPException(404, "The cohort has no scan of this name.")
        return scan


def _image(scan: ReviewedScan, prepare: PrepareSettings) -> Volume:
    """The image of a scan, if it still is the one that was measured."""
    try:
        volume = read_volume(scan.entry.path, prepare)
    except ColumnaError as error:  # its sentence names the path, which is no business of pages
        raise HTTPException(410, "The image of this scan cannot be read now.") from error
    if scan.input_sha256 is not None and input_sha256(volume) != scan.input_sha256:
        raise HTTPException(409, "The image of this scan is not the one that was measured.")
    return volume


def _nifti(volume: Volume) -> Response:
    return Response(clean_nifti(volume), media_type="application/gzip")


async def _asked(request: Request) -> dict:
    """The body of a request, a JSON object."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "Decisions are sent as JSON.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_REQUEST:
            raise HTTPException(413, "The decision is too long.")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise HTTPException(400, "The decision is no JSON object.")
    return asked


def _not_decided(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"Not saved: {error}", 400)


def _not_now(_: Request, error: Exception) -> Response:
    """For results that are being written anew; the sentence names paths, so the terminal has it."""
    logging.getLogger(__name__).error("%s", error)
    return PlainTextResponse("The results cannot be read now; the terminal says why.", 503)


def _lost(_: Request, error: Exception) -> Response:
    why = getattr(error, "strerror", None) or type(error).__name__
    return PlainTextResponse(f"Not saved, or not read: {why}.", 500)


def serve(
    review: Review,
    prepare: PrepareSettings,
    host: str,
    port: int,
    announce: Callable[[str], None],
) -> None:
    """Serve a review until it is interrupted.

    Parameters
    ----------
    review, prepare
        As in `make_app`.
    host
        A loopback name or address.
    port
        0 for any that is free.
    announce
        Called with the address to open, once the server listens.

    Raises
    ------
    ColumnaError
        If the host is another machine's, or the port is taken.
    """
    if not is_loopback(host):
        raise ColumnaError(
            f"--host {host}: a review is served to this machine alone (127.0.0.1, ::1, localhost); "
            "from elsewhere, use an ssh tunnel (docs/review.md)"
        )
    token = secrets.token_urlsafe(32)
    with _listening(host, port) as listener:
        at = listener.getsockname()
        shown = f"[{at[0]}]" if ":" in at[0] else at[0]
        announce(f"http://{shown}:{at[1]}/?token={token}")
        settings = uvicorn.Config(
            make_app(review, prepare, token),
            lifespan="off",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        uvicorn.Server(settings).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        if not is_loopback(str(address[0])):
            raise ColumnaError(f"--host {host} leads to {address[0]}, another machine")
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except (OSError, OverflowError) as error:
        raise ColumnaError(f"--host {host} --port {port}: {error}; name another --port") from error
    return listener
