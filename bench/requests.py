"""Requests as ready bytes, one after the other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

BUYER = {
    "name": "Ada Lovelace",
    "line1": "1 Market Street",
    "city": "San Francisco",
    "region": "CA",
    "postal_code": "94105",
    "country": "US",
}
CARD = {"provider": "sandbox", "token": "tok_success"}


def request(
    *,
    verb: str,
    path: str,
    host: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """One request, as it goes over the line."""
    encoded = b"" if body is None else msgspec.json.encode(body)
    lines = [f"{verb} {path} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(encoded)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + encoded


def orders(*, host: str, skus: Sequence[str], count: int, run: str) -> Iterator[bytes]:
    """Guests' orders of one piece each, over all skus in turn; each has a buyer and an idempotency key of its own."""
    for number in range(count):
        yield request(
            verb="POST",
            path="/api/v1/orders",
            host=host,
            headers={"Idempotency-Key": f"{run}-{number}"},
            body={
                "lines": [{"sku": skus[number % len(skus)], "quantity": 1}],
                "email": f"buyer-{run}-{number}@example.com",
                "shipping_address": BUYER,
                "payment": CARD,
            },
        )


def gets(*, host: str, paths: Sequence[str], count: int) -> Iterator[bytes]:
    """Reads of the paths in turn."""
    ready = [request(verb="GET", path=path, host=host) for path in paths]
    for number in range(count):
        yield ready[number % len(ready)]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a line of a file has it."""

    verb: str
    path: str
    headers: dict[str, str] = {}
    body: Any = None


def listed(*, host: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Requests from the lines of a file, each a `Listed` as JSON."""
    decoder = msgspec.json.Decoder(Listed)
    for line in lines:
        found = decoder.decode(line)
        yield request(verb=found.verb, path=found.path, host=host, headers=found.headers, body=found.body)
