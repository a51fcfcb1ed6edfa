"""Asks the system for the addresses of names, in threads of its own, so that a name whose servers are silent holds up
neither other names nor anything else in the process."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

AT_ONCE = 16
"""Threads. Each name has at most one, however many ask for it: so many silent names at once hold up the others."""
MOST_ASKED = 256
"""Names that are asked for or wait for a thread."""
TIMEOUT_S = 5.0
"""How long somebody waits for a name; the thread cannot be stopped and ends when the system gives up."""
REMEMBERED_S = 60.0
"""How long a name that had no answer is not asked for again."""
MOST_REMEMBERED = 1_024

Ask = Callable[[str], list[str]]
"""The addresses of a name, by a call that blocks; raises OSError or ValueError if there are none."""


def asked_system(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


class Names:
    """See the module; needs a running loop."""

    def __init__(self, *, ask: Ask = asked_system) -> None:
        self._ask = ask
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="names")
        self._asked: dict[str, tuple[Future[list[str]], asyncio.Future[list[str]]]] = {}
        self._silent: dict[str, asyncio.TimerHandle] = {}

    async def addresses(self, name: str, port: int) -> list[str]:
        """The addresses of a name, whatever the port. Raises OSError if it has none in time, and then for a while
        without asking again."""
        if name in self._silent:
            raise OSError("the name had no answer a moment ago")
        if name not in self._asked and len(self._asked) >= MOST_ASKED:
            raise OSError("too many names are asked for")
        if name not in self._asked:
            self._begin(name)
        thread, found = self._asked[name]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.shield(found)  # others wait for it too
        except TimeoutError:
            if thread.running():  # one that still waits for a thread is not to blame
                self._remember(name)
            raise OSError("the name had no answer in time") from None
        except ValueError as error:
            raise OSError("this can be no name") from error

    def close(self) -> None:
        """Wait for nobody, and ask nothing more."""
        for timer in self._silent.values():
            timer.cancel()
        for _, found in list(self._asked.values()):
            found.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: str) -> None:
        thread = self._threads.submit(self._ask, name)
        found = asyncio.wrap_future(thread)
        self._asked[name] = (thread, found)
        found.add_done_callback(lambda ended: self._end(name, ended))

    def _end(self, name: str, ended: "asyncio.Future[list[str]]") -> None:
        del self._asked[name]
        if not ended.cancelled() and ended.exception() is not None:
            self._remember(name)

    def _remember(self, name: str) -> None:
        if name not in self._silent and len(self._silent) < MOST_REMEMBERED:
            forget = asyncio.get_running_loop().call_later(REMEMBERED_S, self._silent.pop, name, None)
            self._silent[name] = forget
