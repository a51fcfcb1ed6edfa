"""Pictures over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from starlette.applications import Starlette
from yarl import URL

from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.preparing import prepare
from hansa.platform.files.serving import media_routes
from hansa.platform.http.serve import HttpServer
from tests.platform.files.samples import encoded, halves
from tests.ports import free_port

PICTURE = prepare(encoded(halves(400, 300)))
WEBP = PICTURE.address.replace(".jpg", "-320.webp")


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    files = FolderFiles(folder=tmp_path / "media")
    await files.put(contents=PICTURE.contents)
    server = HttpServer(Starlette(routes=media_routes(files)), host="127.0.0.1", port=(port := free_port()))
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await server.close()


async def test_every_form_is_served_as_what_it_is_and_may_be_kept_for_a_year(web: aiohttp.ClientSession):
    for name, content in PICTURE.contents.items():
        async with web.get(f"/media/{name}") as response:
            assert (response.status, await response.read()) == (200, content)
            assert response.content_type == ("image/webp" if name.endswith("webp") else "image/jpeg")
            assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert response.headers["etag"] == f'"{name}"'


async def test_who_has_it_already_is_told_so(web: aiohttp.ClientSession):
    async with web.get(f"/media/{WEBP}", headers={"If-None-Match": f'"{WEBP}"'}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with web.get(f"/media/{WEBP}", headers={"If-None-Match": f'"{PICTURE.address}"'}) as response:
        assert response.status == 200


async def test_head_tells_the_size_without_the_picture(web: aiohttp.ClientSession):
    async with web.head(f"/media/{WEBP}") as response:
        assert (response.status, response.headers["content-length"]) == (200, str(len(PICTURE.contents[WEBP])))
        assert await response.read() == b""


@pytest.mark.parametrize(
    "path",
    [
        PICTURE.address.replace(PICTURE.address[:4], "0000"),
        PICTURE.address[:20],
        PICTURE.address.upper(),
        f"{PICTURE.address}%0a",
        f"{PICTURE.address[:2]}/{PICTURE.address}",
        f"{PICTURE.address[:2]}%2f{PICTURE.address}",
        "../secret.jpg",
        "..%2fsecret.jpg",
        "%2e%2e/secret.jpg",
        "%00.jpg",
        "%ff.jpg",
        "",
    ],
)
async def test_there_is_nothing_under_any_other_name(web: aiohttp.ClientSession, path: str):
    async with web.get(URL(f"/media/{path}", encoded=True)) as response:
        assert response.status == 404
        assert b"secret" not in await response.read()


async def test_an_unknown_picture_is_a_problem_that_nobody_keeps(web: aiohttp.ClientSession):
    async with web.get(f"/media/{PICTURE.address.replace(PICTURE.address[:4], '0000')}") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
        assert response.headers["cache-control"] == "no-store"
        assert (await response.json())["code"] == "request.not_found"


async def test_pictures_are_only_read_here(web: aiohttp.ClientSession):
    async with web.post(f"/media/{WEBP}", data=b"x") as response:
        assert response.status == 405
