"""Posts over HTTP to public addresses alone: names are resolved here, and the connection goes to what was checked.

Three doors are watched. The URL is read before anything is asked; the addresses of its name are judged as they are
resolved; and once more each address that a socket is opened for, so that nothing between the two, such as a name that
answers differently the second time, leads elsewhere. Nothing is taken from the environment: no proxy, no netrc.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hansa.platform.outgoing.addresses import flaw_of, is_public
from hansa.platform.outgoing.names import Names
from hansa.platform.outgoing.port import Answered, NotAnswered

TIMEOUT_S = 15.0
"""For all of an attempt: name, connection, answer."""
LARGEST_ANSWER = 4 * 1024
"""Bytes of an answer's body that are read, so that the connection can be used again; more of it ends the connection."""
BODY_TIMEOUT_S = 1.0
NAMES_KEPT_S = 30
KEPT_OPEN_S = 20
MOST_CONNECTIONS = 512
LONGEST_RETRY_AFTER = 100
AGENT = "Hansa-Webhooks/1"

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, which is to be reached at a port; raises OSError if there are none."""


class AddressRefused(Exception):
    """An address that is not public was about to be reached."""


class Guarded:
    """See `Poster`; needs a running loop."""

    def __init__(self, *, may_be_private: bool, lookup: Lookup | None = None) -> None:
        self._may_be_private = may_be_private
        self._names = Names()
        resolver = _Resolver(may_be_private=may_be_private, lookup=lookup or self._names.addresses)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver,
                ttl_dns_cache=NAMES_KEPT_S,
                keepalive_timeout=KEPT_OPEN_S,
                limit=MOST_CONNECTIONS,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers={"User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Raises NotAnswered."""
        if flaw_of(url, may_be_private=self._may_be_private) is not None:
            raise NotAnswered("address_refused")
        try:
            async with self._session.post(
                URL(url, encoded=True), data=body, headers=dict(headers), allow_redirects=False
            ) as response:
                await _read(response)
                return Answered(
                    status=response.status,
                    retry_after=response.headers.get("Retry-After", "")[:LONGEST_RETRY_AFTER],
                )
        except (AddressRefused, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise NotAnswered("address_refused") from None
        except aiohttp.ClientConnectorDNSError:
            raise NotAnswered("name_unknown") from None
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError):
            raise NotAnswered("tls") from None
        except TimeoutError:
            raise NotAnswered("timeout") from None
        except aiohttp.ClientConnectorError:
            raise NotAnswered("connection") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise NotAnswered("broken_off") from None

    async def close(self) -> None:
        await self._session.close()
        self._names.close()

    def _socket(self, address: Any) -> socket.socket:
        """A socket for an address, as `getaddrinfo` names it, if it may be reached."""
        family, kind, protocol, _, name = address
        if not self._may_be_private and not is_public(name[0]):
            raise AddressRefused
        opened = socket.socket(family=family, type=kind, proto=protocol)
        opened.setblocking(False)
        return opened


class _Resolver(AbstractResolver):
    """Resolves names, and refuses one of whose addresses any is not public: no honest name has both kinds."""

    def __init__(self, *, may_be_private: bool, lookup: Lookup) -> None:
        self._may_be_private = may_be_private
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._lookup(host, port)
        if not self._may_be_private and not all(is_public(address) for address in found):
            raise AddressRefused
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        return


async def _read(response: aiohttp.ClientResponse) -> None:
    """Read a short body to its end; of a longer or slower one, the connection ends with the answer."""
    size = 0
    with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while size <= LARGEST_ANSWER and (chunk := await response.content.read(LARGEST_ANSWER)):
                size += len(chunk)
