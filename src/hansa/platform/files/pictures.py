"""Taking pictures in: prepared in a thread, with a bound on how many may wait, and kept in all their forms."""

import asyncio
from collections.abc import Mapping

from hansa.kernel.errors import Fault
from hansa.platform.files.port import Files
from hansa.platform.files.preparing import Prepared, check, prepare

AT_ONCE = 1
"""Pictures being prepared in a process: one of 40 million pixels takes up to 600 MB and a second of a core meanwhile,
which are the buyers' too."""
MOST_WAITING = 16
"""Pictures that wait for it, each with up to 10 MB."""


class Pictures:
    """Makes pictures ready and keeps them. The same picture is kept once, at the same address."""

    def __init__(self, *, files: Files) -> None:
        self._files = files
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def put(self, *, data: bytes) -> Prepared:
        """Prepare a picture and keep its forms. Raises NotAPicture and TooLarge; Fault while too many wait."""
        if self._waiting >= MOST_WAITING:
            raise Fault("too many pictures are being prepared at this moment")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        running = asyncio.get_running_loop().run_in_executor(None, prepare, data)
        running.add_done_callback(self._done)
        # Shielded, because a thread works on when nobody waits for it any longer, and takes its place so long.
        prepared = await asyncio.shield(running)
        await self._files.put(contents=prepared.contents)
        return prepared

    async def put_ready(self, *, contents: Mapping[str, bytes]) -> None:
        """Keep pictures whose forms were made before. Raises ValueError if a name does not say what its file is."""
        forms = dict(contents)
        await asyncio.to_thread(check, forms)
        await self._files.put(contents=forms)

    def _done(self, running: "asyncio.Future[Prepared]") -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()  # seen: if the asker is gone, nobody else will look at it
