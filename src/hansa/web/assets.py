"""Style sheets, scripts and icons: read once, addressed by their content, so that browsers may keep them for ever."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "static"
KEPT = "public, max-age=31536000, immutable"
DIGEST_BYTES = 6


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file and its bytes, plain and compressed."""

    address: str
    media_type: str
    plain: bytes
    zipped: bytes


class Assets:
    """All static files of the pages."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_name = {file.name: _read(file) for file in sorted(folder.iterdir()) if file.is_file()}
        self._by_address: Mapping[str, Asset] = {asset.address: asset for asset in self._by_name.values()}

    def address(self, name: str) -> str:
        return self._by_name[name].address

    def routes(self) -> list[Route]:
        return [Route("/static/{digest}/{name}", self._answer)]

    async def _answer(self, request: Request) -> Response:
        asset = self._by_address.get(request.url.path)
        if asset is None:
            return Response(status_code=404)
        headers = {"cache-control": KEPT, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.zipped, 200, {**headers, "content-encoding": "gzip"}, asset.media_type)
        return Response(asset.plain, 200, headers, asset.media_type)


def _read(file: Path) -> Asset:
    content = file.read_bytes()
    digest = hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Asset(
        address=f"/static/{digest}/{file.name}",
        media_type=media_type,
        plain=content,
        zipped=gzip.compress(content, mtime=0),
    )
