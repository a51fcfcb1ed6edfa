"""Standing in line: first come, first served, and nobody holds the others up for long."""

import asyncio

import pytest

from hansa.kernel.errors import BusinessError, Fault
from hansa.services.promotions.contract import InLine, LineFull, SoldOut
from hansa.services.promotions.service import line as lines
from hansa.services.promotions.service.line import Line
from tests.clocks import ManualClock


class Door:
    """A line before so many pieces."""

    def __init__(self, *, left: int) -> None:
        self.left = left
        self.clock = ManualClock()
        self.line = Line(clock=self.clock, left=lambda: self.left, hopeless=self.hopeless)
        self.served: list[str] = []

    def hopeless(self, pieces: int) -> BusinessError | None:
        return SoldOut(left=self.left) if pieces > self.left else None

    async def come(self, key: str, *, member: str | None = None, pieces: int = 1) -> None:
        await self.line.enter(key=key, member=member or key, pieces=pieces)
        self.served.append(key)

    async def arrive(self, *keys: str, pieces: int = 1) -> list[asyncio.Task[None]]:
        """One after the other, each waiting by itself."""
        tasks = []
        for key in keys:
            tasks.append(asyncio.ensure_future(self.come(key, pieces=pieces)))
            await breathe()
        return tasks

    def claim(self, member: str, pieces: int = 1) -> None:
        self.left -= pieces
        self.line.turn_used(member)


async def breathe() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_are_let_in_as_there_are_pieces_and_the_others_wait_in_their_order() -> None:
    door = Door(left=2)
    await door.arrive("a", "b", "c", "d")

    assert door.served == ["a", "b"]
    assert [door.line.place_of(member) for member in "abcd"] == [0, 0, 1, 2]
    door.line.give_up("a")
    await breathe()
    assert door.served == ["a", "b", "c"]
    assert door.line.place_of("d") == 1
    door.line.close()


async def test_when_the_last_piece_is_claimed_all_who_wait_are_told_at_once() -> None:
    door = Door(left=1)
    tasks = await door.arrive("a", "b", "c")
    door.claim("a")

    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in told] == [type(None), SoldOut, SoldOut]
    assert door.line.is_idle


async def test_of_many_who_are_told_that_nothing_is_left_a_few_are_told_in_each_turn_of_the_loop() -> None:
    door = Door(left=1)
    tasks = await door.arrive("a", *(f"late {number}" for number in range(3 * lines.MOST_REFUSED)))
    door.claim("a")

    waiting = [door.line.waiting]
    while door.line.waiting:
        await asyncio.sleep(0)
        waiting.append(door.line.waiting)
    assert waiting == [2 * lines.MOST_REFUSED, lines.MOST_REFUSED, 0]
    told = await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert all(isinstance(answer, SoldOut) for answer in told)


async def test_somebody_in_line_is_let_in_if_a_piece_comes_back_before_they_are_told() -> None:
    door = Door(left=1)
    await door.arrive("a", *(f"late {number}" for number in range(lines.MOST_REFUSED)), "lucky")
    door.claim("a")
    door.left += 1
    await breathe()

    assert door.served == ["a", "lucky"]
    door.line.close()


async def test_who_wants_more_than_can_be_had_at_the_moment_waits_and_is_not_overtaken() -> None:
    door = Door(left=3)
    await door.arrive("a", "b", pieces=1)
    await door.arrive("big", pieces=2)
    await door.arrive("small", pieces=1)
    assert door.served == ["a", "b"]

    door.line.give_up("b")
    await breathe()

    assert door.served == ["a", "b", "big"]
    door.line.close()


async def test_a_turn_that_nobody_uses_ends_by_itself() -> None:
    door = Door(left=1)
    await door.arrive("a", "b")
    door.clock.advance(lines.TURN_S)

    door.line.serve()
    await breathe()

    assert door.served == ["a", "b"]


async def test_whoever_waited_long_is_told_the_place_and_has_it_still_when_coming_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "PATIENCE_S", 0.0)
    door = Door(left=1)
    await door.come("a")
    for key in ("b", "c"):
        with pytest.raises(InLine) as told:
            await door.come(key)
        assert told.value.place == 1, "nobody who is away is counted"
    monkeypatch.setattr(lines, "PATIENCE_S", 60.0)
    tasks = await door.arrive("c", "b")
    assert (door.line.place_of("b"), door.line.place_of("c")) == (1, 2)

    door.line.give_up("a")
    await breathe()

    assert door.served == ["a", "b"], "b came first, though back later"
    door.line.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_whoever_is_away_holds_nobody_up_and_loses_the_place_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = Door(left=1)
    await door.come("a")
    monkeypatch.setattr(lines, "PATIENCE_S", 0.0)
    with pytest.raises(InLine):
        await door.come("away")
    monkeypatch.setattr(lines, "PATIENCE_S", 60.0)
    await door.arrive("b")
    door.line.give_up("a")
    await breathe()
    assert door.served == ["a", "b"]

    door.clock.advance(lines.KEPT_S)
    door.line.serve()

    assert door.line.place_of("away") == 0
    door.line.close()


async def test_the_same_attempt_has_one_place_and_one_turn() -> None:
    door = Door(left=1)
    await door.come("a")
    first, second = await door.arrive("b", "b")
    assert door.line.waiting == 1
    door.line.give_up("a")
    await asyncio.gather(first, second)
    await door.come("b")

    assert door.served == ["a", "b", "b", "b"]


async def test_a_request_that_is_broken_off_leaves_the_line_in_order() -> None:
    door = Door(left=1)
    tasks = await door.arrive("a", "b", "c")
    tasks[1].cancel()
    await breathe()
    assert door.line.place_of("c") == 1

    door.line.give_up("a")
    await breathe()

    assert door.served == ["a", "c"]
    door.line.close()


async def test_a_line_has_a_longest_length_and_one_member_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 6)
    door = Door(left=1)
    await door.come("inside")
    waiting = [asyncio.ensure_future(door.come(f"ada {number}", member="ada")) for number in range(lines.MOST_PLACES)]
    await breathe()
    with pytest.raises(LineFull):
        await door.come("ada again", member="ada")
    waiting += [asyncio.ensure_future(door.come(f"bob {number}", member="bob")) for number in range(2)]
    await breathe()

    with pytest.raises(LineFull):
        await door.come("too many")
    door.line.close()
    assert all(isinstance(end, Fault) for end in await asyncio.gather(*waiting, return_exceptions=True))


async def test_only_so_many_are_inside_at_a_time_however_much_there_is() -> None:
    door = Door(left=10_000)
    tasks = await door.arrive(*(f"shopper {number}" for number in range(lines.MOST_INSIDE + 5)))

    assert len(door.served) == lines.MOST_INSIDE
    for number in range(5):
        door.claim(f"shopper {number}")
    await asyncio.gather(*tasks)
    assert door.line.waiting == 0
