"""OpenAPI 3.1 generated from the routes, and the same as a page for people."""

import html
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from hansa.kernel.errors import BusinessError
from hansa.platform.http.errors import (
    EVERYWHERE,
    BodyTooLarge,
    Forbidden,
    KeyInvalid,
    KeyMissing,
    NoSuchRoute,
    NotJson,
    TokenMissing,
    VersionInvalid,
    VersionMissing,
)
from hansa.platform.http.problems import MEDIA_TYPE, STATUS
from hansa.platform.http.route import Access, Route

REFERENCE = "#/components/schemas/{name}"
PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details. `code` is stable; further members depend on it.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "code"],
}
_FAULTS = {
    "500": "Something went wrong inside; the request may be repeated with the same key.",
    "503": "Too busy, or no answer in time; the request may be repeated with the same key.",
    "507": "The shop has no room right now; the request may be repeated with the same key.",
}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of all routes: the shop's version and currencies, and how a session's token may be refused."""

    version: str
    currencies: tuple[str, ...]
    session_errors: tuple[type[BusinessError], ...]


def openapi(routes: Sequence[Route], about: Description) -> dict[str, Any]:
    """The OpenAPI document."""
    types = [type_ for route in routes for type_ in (route.body, route.answer) if _is_described(type_)]
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    by_type = {id(type_): schema for type_, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.verb.lower()] = _operation(route, by_type, about)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hansa",
            "version": about.version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(paths),
        "components": {
            "schemas": {**components, "Problem": PROBLEM},
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
    }


def _is_described(type_: Any) -> bool:
    return type_ is not None and type_ is not bytes and type_ is not type(None)


def _operation(route: Route, by_type: dict[int, Any], about: Description) -> dict[str, Any]:
    summary, _, description = route.summary.partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": summary,
        "parameters": _parameters(route, about),
        "responses": _responses(route, by_type, about),
    }
    if description.strip():
        operation["description"] = description.strip()
    if route.body is bytes:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {}}}}
    elif route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_type[id(route.body)]}},
        }
    if route.access is not Access.ANYONE:
        operation["security"] = [{"session": []}]
    elif not route.is_public_read:
        operation["security"] = [{}, {"session": []}]
    return operation


def _parameters(route: Route, about: Description) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 256}}
        for name in route.path_names
    ]
    if route.query is not None:
        described = msgspec.json.schema_components([route.query], ref_template=REFERENCE)[1][route.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": schema}
            for name, schema in described["properties"].items()
        ]
    parameters.append(_header("Accept-Language", "The wanted language, such as `zh`; the shop's first one otherwise."))
    parameters.append(
        {"name": "currency", "in": "query", "required": False, "schema": {"type": "string", "enum": about.currencies}}
    )
    if route.verb not in ("GET", "HEAD"):
        parameters.append(
            _header(
                "Idempotency-Key", "A fresh random value for each new act; the same one repeats it.", route.needs_key
            )
        )
    if route.needs_version:
        parameters.append(_header("If-Match", "The ETag that was read.", required=True))
    return parameters


def _header(name: str, description: str, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _responses(route: Route, by_type: dict[int, Any], about: Description) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "As asked."}
    if _is_described(route.answer):
        success["content"] = {"application/json": {"schema": by_type[id(route.answer)]}}
    responses: dict[str, Any] = {str(route.status): success}
    if route.is_public_read:
        responses["304"] = {"description": "It is what the client has already (If-None-Match)."}
    problems: dict[str, dict[str, str]] = defaultdict(dict)
    for error in errors_of(route, about):
        problems[str(STATUS[error.kind])][error.code] = error.title()
    for status, codes in sorted(problems.items()):
        listed = "\n".join(f"- `{code}`: {title}" for code, title in codes.items())
        responses[status] = _problem_response(listed)
    for status, text in _FAULTS.items():
        responses[status] = _problem_response(text)
    return responses


def errors_of(route: Route, about: Description) -> tuple[type[BusinessError], ...]:
    """All that a route may refuse with: the service's own reasons and the HTTP layer's."""
    own: list[type[BusinessError]] = list(EVERYWHERE)
    if route.path_names:
        own.append(NoSuchRoute)
    if not route.is_public_read:
        own += about.session_errors
    if route.access is not Access.ANYONE:
        own.append(TokenMissing)
    if route.access is Access.STAFF:
        own.append(Forbidden)
    if route.needs_key:
        own.append(KeyMissing)
    if route.verb not in ("GET", "HEAD"):
        own.append(KeyInvalid)
    if route.needs_version:
        own += [VersionMissing, VersionInvalid]
    if route.body is not None:
        own += [BodyTooLarge, NotJson]
    return (*own, *route.errors)


def _problem_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2433}
body{background:#fff}
h1{margin-bottom:0}h2{margin-top:2.5rem;text-transform:capitalize;border-bottom:1px solid #d8dde6}
details{border:1px solid #d8dde6;border-radius:6px;margin:.5rem 0;padding:.5rem .75rem}summary{cursor:pointer}
code{font:14px ui-monospace,monospace}.verb{display:inline-block;min-width:4.2rem;font-weight:700;color:#0a5a9c}
.who{float:right;color:#5a6475;font-size:14px}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .5rem;border-top:1px solid #eceff4;vertical-align:top}a{color:#0a5a9c}
@media(max-width:40rem){.who{float:none;display:block}}"""


def docs_page(routes: Sequence[Route], about: Description) -> str:
    """A page that reads without scripts."""
    by_tag: dict[str, list[Route]] = defaultdict(list)
    for route in routes:
        by_tag[route.tag].append(route)
    sections = "".join(
        f"<h2>{html.escape(tag)}</h2>{''.join(_described(route, about) for route in group)}"
        for tag, group in by_tag.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Hansa API</title><style>{_STYLE}</style></head><body><h1>Hansa API</h1>"
        f'<p>Version {html.escape(about.version)}. The same for machines: <a href="/openapi.json">/openapi.json</a>. '
        f"Errors are <code>application/problem+json</code> with a stable <code>code</code>.</p>{sections}</body></html>"
    )


def _described(route: Route, about: Description) -> str:
    summary, _, rest = route.summary.partition("\n")
    rows = "".join(
        f"<tr><td>{STATUS[error.kind]}</td><td><code>{html.escape(error.code)}</code></td>"
        f"<td>{html.escape(error.title())}</td></tr>"
        for error in errors_of(route, about)
    )
    marks = [
        route.access.value,
        *(["Idempotency-Key"] if route.needs_key else []),
        *(["If-Match"] if route.needs_version else []),
    ]
    return (
        f'<details><summary><span class="verb">{route.verb}</span> <code>{html.escape(route.path)}</code> '
        f'<span class="who">{html.escape(" · ".join(marks))}</span><br>{html.escape(summary)}</summary>'
        f"<p>{html.escape(rest.strip())}</p>"
        f"{_fields('Query', route.query)}{_fields('Body', route.body)}{_fields('Answer', route.answer)}"
        f"<table><tr><th>Status</th><th>Code</th><th>Meaning</th></tr>{rows}</table></details>"
    )


def _fields(title: str, type_: Any) -> str:
    names = getattr(type_, "__struct_fields__", ())
    if not names:
        return ""
    return f"<p><b>{title}</b>: {', '.join(f'<code>{html.escape(name)}</code>' for name in names)}</p>"
