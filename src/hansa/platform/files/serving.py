"""Pictures over HTTP: `GET /media/{name}`, to be kept by everybody for a year, as a name always means one content."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.kernel.errors import Fault
from hansa.platform.files import names
from hansa.platform.files.port import Files
from hansa.platform.http import problems
from hansa.platform.http.errors import NoSuchRoute

_CACHED = {"cache-control": "public, max-age=31536000, immutable"}


def media_routes(files: Files) -> list[Route]:
    """The route of pictures, for an application that adds `nosniff` to every answer."""

    async def media(request: Request) -> Response:
        said = names.read(name := request.path_params["name"])
        if said is None:
            return problems.refuse(NoSuchRoute(), correlation="")
        headers = {**_CACHED, "etag": f'"{name}"'}
        try:
            content = await files.read(name=name)
        except Fault as error:
            return problems.refuse(error, correlation="")
        if content is None:
            return problems.refuse(NoSuchRoute(), correlation="")
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, 200, headers, names.CONTENT_TYPES[said.kind])

    return [Route(f"{names.FOLDER}{{name}}", media, methods=["GET"])]
