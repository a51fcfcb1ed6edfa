"""A poster that costs nothing until something is posted: a shop without webhooks does not load an HTTP client."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hansa.platform.outgoing.addresses import flaw_of
from hansa.platform.outgoing.port import Answered, Flaw

if TYPE_CHECKING:
    from hansa.platform.outgoing.guarded import Guarded


class LatePoster:
    """See `Poster`. `may_be_private` lets addresses be of this machine and its network, over http too."""

    def __init__(self, *, may_be_private: bool) -> None:
        self._may_be_private = may_be_private
        self._guarded: Guarded | None = None

    def flaw(self, *, url: str) -> Flaw | None:
        return flaw_of(url, may_be_private=self._may_be_private)

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        if self._guarded is None:
            from hansa.platform.outgoing.guarded import Guarded

            self._guarded = Guarded(may_be_private=self._may_be_private)
        return await self._guarded.post(url=url, headers=headers, body=body)

    async def close(self) -> None:
        if self._guarded is not None:
            await self._guarded.close()
            self._guarded = None
