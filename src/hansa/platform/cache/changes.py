"""What has changed, by tag, for the caches of this process: they hear of it at once, and a late fill can be told."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

MOST_REMEMBERED = 20_000
"""Tags whose last change is remembered. Of one that was forgotten the worst is assumed: a fill that began before is
not kept."""

Listener = Callable[[tuple[str, ...]], None]


class Changes:
    """Counts changes. Whoever fills a cache notes `number` before reading, and asks `is_changed` before keeping."""

    def __init__(self, *, most: int = MOST_REMEMBERED) -> None:
        self.number = 0
        self._most = most
        self._last: OrderedDict[str, int] = OrderedDict()
        self._forgotten_until = 0
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have every change told, on the loop, to somebody who is quick and does not raise."""
        self._listeners.append(listener)

    def tell(self, tags: Iterable[str]) -> None:
        """Something has changed; to be told after its commit and before its answer."""
        told = tuple(tags)
        if not told:
            return
        self.number += 1
        for tag in told:
            self._last[tag] = self.number
            self._last.move_to_end(tag)
        while len(self._last) > self._most:
            _, number = self._last.popitem(last=False)
            self._forgotten_until = number
        for listener in self._listeners:
            listener(told)

    def tell_everything(self) -> None:
        """Anything may have changed, so nothing that was filled until now holds."""
        self.number += 1
        self._last.clear()
        self._forgotten_until = self.number

    def last(self, tag: str) -> int:
        """The number of a tag's last change, or of one that came later, if it was forgotten."""
        return self._last.get(tag, self._forgotten_until)

    def is_changed(self, tags: Iterable[str], *, since: int) -> bool:
        """Whether any of the tags may have changed after `number` was `since`."""
        return since < self._forgotten_until or any(self._last.get(tag, 0) > since for tag in tags)
