"""Serving contracts in their remote form: plain HTTP/1.1 with MessagePack bodies, `POST /rpc/{Contract}/{method}`.

For now it carries commands such as imports to the process that owns the data folder.
"""

import hmac
from collections.abc import Mapping

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hansa.kernel.contract import methods_of
from hansa.kernel.errors import BusinessError, ErrorRecord, record_error

LARGEST_CALL = 64 * 1024 * 1024
MEDIA_TYPE = "application/msgpack"
log = structlog.get_logger()


class Answer(msgspec.Struct, frozen=True):
    """Either an answer or an error."""

    value: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: ErrorRecord | None = None


def create_rpc_app(services: Mapping[type, object], *, token: str) -> ASGIApp:
    """Serves contracts to whoever knows the token."""
    methods = {
        (contract.__name__, method.name): (method, service)
        for contract, service in services.items()
        for method in methods_of(contract).values()
    }

    async def call(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {token}"):
            return Response(status_code=401)
        found = methods.get((request.path_params["contract"], request.path_params["method"]))
        if found is None:
            return Response(status_code=404)
        if int(request.headers.get("content-length", LARGEST_CALL + 1)) > LARGEST_CALL:
            return Response(status_code=413)
        method, service = found
        try:
            arguments = msgspec.msgpack.decode(await request.body(), type=method.arguments)
        except msgspec.MsgspecError as error:
            return Response(str(error), 400)
        try:
            value = await getattr(service, method.name)(
                **{name: getattr(arguments, name) for name in method.arguments.__struct_fields__}
            )
            answer = Answer(value=msgspec.Raw(msgspec.msgpack.encode(value)))
        except BusinessError as error:
            answer = Answer(error=record_error(error))
        except Exception:
            log.exception("remote call failed", method=method.name)
            return Response(status_code=500)
        return Response(msgspec.msgpack.encode(answer), media_type=MEDIA_TYPE)

    return Starlette(routes=[Route("/rpc/{contract}/{method}", call, methods=["POST"])])
