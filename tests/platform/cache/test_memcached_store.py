"""What only Memcached does to its store: servers that die, stop, forget, fill up, or come back with what is old."""

import asyncio
import random
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import SimpleNamespace

import pytest
from emcache import connection_pool
from hypothesis import example, given
from hypothesis import strategies as st

from hansa.kernel.clock import SystemClock
from hansa.platform.cache.memcached.address import MOST_SERVERS, Address, Place
from hansa.platform.cache.memcached.store import MemcachedStore
from hansa.platform.cache.port import LARGEST_VALUE, LONGEST_KEY, CacheTrouble, Entry, Store
from tests.memcached_server import MemcachedServer, memcached_server
from tests.platform.cache.parts import PATIENCE_S, entry

NOW = 1_700_000_000_000_000
DAY_S = 24 * 3600.0
NAMESPACE = "shop"

Open = Callable[..., Awaitable[MemcachedStore]]


@pytest.fixture
def servers(memcached_servers: tuple[MemcachedServer, MemcachedServer]) -> tuple[MemcachedServer, MemcachedServer]:
    """Two that run and hold nothing."""
    for server in memcached_servers:
        server.start()
        server.ask(b"flush_all")
    return memcached_servers


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens stores of servers, and closes them; they are patient where nothing else is said."""
    stores: list[MemcachedStore] = []

    async def open_(*servers: MemcachedServer, within_s: float = 10.0, seed: int = 1) -> MemcachedStore:
        address = f"memcached://{','.join(server.place for server in servers)}?namespace={NAMESPACE}"
        store = MemcachedStore(
            address=address,
            clock=SystemClock(),
            chance=random.Random(seed + len(stores)),
            read_s=within_s,
            change_s=within_s,
        )
        stores.append(store)
        await store.start()
        return store

    yield open_
    for store in stores:
        await store.close()


async def fill(store: Store, key: str, what: Entry | None = None) -> bool:
    """Lend and put; whether it was kept."""
    loan = await store.lend(key, now=NOW, for_s=10)
    assert loan.token is not None
    return await store.put(key, what or entry(), token=loan.token)


async def at_last(act: Callable[[], Awaitable[object]]) -> None:
    """Return when it does not end in trouble any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await act()
            except CacheTrouble:
                await asyncio.sleep(0.02)
            else:
                return


def keys_of(server: MemcachedServer, *, among: list[str]) -> list[str]:
    return [key for key in among if server.get(f"{NAMESPACE}:{key}") is not None]


async def test_a_value_is_plain_json_behind_one_line_of_the_same_item(servers, opened):
    store = await opened(servers[0])

    await fill(store, "product:1", entry(b'{"name":"Chair"}'))

    item = servers[0].get("shop:product:1")
    assert item is not None
    line, _, value = item.partition(b"\n")
    assert line.startswith(b"1 1 ")
    assert value == b'{"name":"Chair"}'


async def test_of_many_who_ask_for_a_key_at_once_one_gets_it(servers, opened):
    stores = [await opened(*servers) for _ in range(3)]

    for round_ in range(20):
        loans = await asyncio.gather(*(store.lend(f"k{round_}", now=NOW, for_s=10) for store in stores * 10))
        assert sum(loan.token is not None for loan in loans) == 1


async def test_of_many_who_refresh_a_key_at_once_one_gets_it_and_the_old_value_stays(servers, opened):
    stores = [await opened(*servers) for _ in range(3)]
    await fill(stores[0], "k")

    loans = await asyncio.gather(*(store.lend("k", now=NOW, for_s=10) for store in stores * 10))

    assert sum(loan.token is not None for loan in loans) == 1
    assert await stores[1].read(["k"]) == [entry()]


async def test_a_late_loader_loses_even_if_the_key_is_lent_anew(servers, opened):
    late, next_ = await opened(*servers), await opened(*servers)
    loan = await late.lend("k", now=NOW, for_s=10)
    await next_.drop(["k"])
    newer = await next_.lend("k", now=NOW, for_s=10)
    assert loan.token is not None
    assert newer.token is not None

    assert not await late.put("k", entry(b'"old"'), token=loan.token)
    assert await next_.put("k", entry(b'"new"', version=2), token=newer.token)
    assert await late.read(["k"]) == [entry(b'"new"', version=2)]


async def test_drops_and_fills_at_once_never_leave_what_was_loaded_before_a_drop(servers, opened):
    """The truth is a number that grows; whoever has changed it drops the key. A put between must not outlive that."""
    stores = [await opened(*servers) for _ in range(4)]
    chance = random.Random(7)
    truth = 0

    async def change(store: Store) -> None:
        nonlocal truth
        for _ in range(100):
            truth += 1
            await store.drop(["k"])
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)

    async def load(store: Store) -> None:
        for _ in range(200):
            loan = await store.lend("k", now=NOW, for_s=10)
            if loan.token is None:
                await asyncio.sleep(0)
                continue
            loaded = truth
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            await store.put("k", entry(b"%d" % loaded, version=0), token=loan.token)

    await asyncio.gather(change(stores[0]), change(stores[1]), load(stores[2]), load(stores[3]), load(stores[2]))

    (left,) = await stores[0].read(["k"])
    assert left is None or left.value == b"%d" % truth


async def test_a_loan_given_back_leaves_no_item_where_there_was_no_value(servers, opened):
    store = await opened(servers[0])
    loan = await store.lend("k", now=NOW, for_s=10)
    assert loan.token is not None

    await store.give_back("k", token=loan.token)

    assert servers[0].get("shop:k") is None


async def test_a_value_that_does_not_fit_is_not_kept_and_its_loan_ends(servers, opened):
    store = await opened(*servers)

    assert not await fill(store, "k", entry(b'"' + b"x" * LARGEST_VALUE + b'"'))

    assert (await store.lend("k", now=NOW, for_s=10)).token is not None
    assert await store.read(["k"]) == [None]


async def test_the_largest_value_comes_back_whole(servers, opened):
    store = await opened(*servers)
    largest = entry(b'"' + b"x" * (LARGEST_VALUE - 2) + b'"')

    assert await fill(store, "k", largest)

    assert await store.read(["k", "none"]) == [largest, None]


async def test_what_would_end_an_answer_too_early_comes_back_whole(servers, opened):
    """However the answer is cut, a chunk of it may end with any part of the value."""
    store = await opened(servers[0])
    for number in range(20):
        value = entry(b"x" * number + b"END\r\n" * 60_000)

        assert await fill(store, f"k{number}", value)
        assert await store.read([f"k{number}", "none"]) == [value, None]
        assert (await store.lend(f"k{number}", now=NOW, for_s=1)).token is not None
        assert await store.read([f"k{number}"]) == [value]


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "a\r\nflush_all\r\n", "ä", "\x7f", "k" * (LONGEST_KEY + 1)])
async def test_what_is_no_key_is_sent_nowhere(servers, opened, key):
    store = await opened(*servers)

    for act in (
        lambda: store.read([key]),
        lambda: store.read(["k", key]),
        lambda: store.lend(key, now=NOW, for_s=1),
        lambda: store.put(key, entry(), token=1),
        lambda: store.give_back(key, token=1),
        lambda: store.drop(["k", key], cause="1"),
    ):
        with pytest.raises(ValueError, match="printable"):
            await act()


async def test_the_longest_key_can_be_filled_and_dropped_for_a_cause(servers, opened):
    store = MemcachedStore(
        address=f"memcached://{servers[0].place}?namespace={'n' * 24}", clock=SystemClock(), chance=random.Random(1)
    )
    await store.start()
    key = "k" * LONGEST_KEY

    assert await fill(store, key)
    await store.drop([key], cause="1")

    assert await store.read([key]) == [None]
    await store.close()


async def test_keys_are_spread_over_the_servers_and_those_of_one_thing_are_together(servers, opened):
    store = await opened(*servers)
    keys = [f"products.get:{{{number}}}:{language}" for number in range(40) for language in ("en", "de")]
    for key in keys:
        await fill(store, key)

    here, there = (keys_of(server, among=keys) for server in servers)

    assert len(here) + len(there) == len(keys)
    assert here
    assert there
    assert not {key.split(":")[1] for key in here} & {key.split(":")[1] for key in there}
    assert await store.read(keys) == [entry()] * len(keys)


async def test_where_a_key_is_does_not_depend_on_the_order_of_the_servers(servers, opened):
    one, other = await opened(*servers), await opened(*reversed(servers))
    keys = [f"k{number}" for number in range(40)]

    for key in keys:
        await fill(one, key)

    assert await other.read(keys) == [entry()] * len(keys)


@pytest.mark.parametrize(("good_for_s", "lasts_s"), [(0.2, 2), (300.0, 301), (40 * DAY_S, 30 * 24 * 3600)])
async def test_the_server_forgets_an_item_soon_after_it_is_good(servers, opened, good_for_s, lasts_s):
    store = await opened(servers[0])

    await fill(store, "k", entry(good_for_s=good_for_s))

    left = servers[0].ask(b"mg shop:k t")
    assert left.startswith(b"HD t")
    assert lasts_s - 10 <= int(left[4:]) <= lasts_s


async def test_a_key_is_dropped_once_for_a_cause(servers, opened):
    committing, hearing = await opened(*servers), await opened(*servers)
    await fill(committing, "k")
    await committing.drop(["k", "j"], cause="event-1")
    await fill(committing, "k", entry(version=2))

    await hearing.drop(["k", "j"], cause="event-1")
    assert await hearing.read(["k"]) == [entry(version=2)]

    await hearing.drop(["k", "j"], cause="event-2")
    assert await hearing.read(["k"]) == [None]


async def test_hundreds_of_keys_are_dropped_together(servers, opened):
    store = await opened(*servers)
    keys = [f"k{number}" for number in range(300)]
    await asyncio.gather(*(fill(store, key) for key in keys))

    await store.drop(keys, cause="event-1")

    assert await store.read(keys) == [None] * len(keys)


@pytest.mark.parametrize(
    "harm",
    [
        lambda item: item[:-1],
        lambda item: item[:20],
        lambda item: b"",
        lambda item: item.replace(b"Chair", b"Choir"),
        lambda item: b"2" + item[1:],
        lambda item: b"\xac\xed\x00\x05t\x00\x05",
    ],
    ids=["cut", "cut line", "empty", "changed", "format", "foreign"],
)
async def test_a_harmed_item_is_none_and_is_filled_anew(servers, opened, harm):
    store = await opened(servers[0])
    await fill(store, "k")
    servers[0].set("shop:k", harm(servers[0].get("shop:k")))

    assert await store.read(["k"]) == [None]
    await at_last(lambda: fill(store, "k", entry(version=0)))
    assert await store.read(["k"]) == [entry(version=0)]


async def test_an_item_that_looks_like_the_end_of_an_answer_costs_its_connections_and_is_none(servers, opened):
    """Somebody else has put it there; the rest of it arrives where nobody waits for it."""
    store = await opened(servers[0], within_s=0.5)
    servers[0].set("shop:k", b"END\r\n" * 50_000)

    async def is_none() -> None:
        assert await store.read(["k"]) == [None]

    async def is_filled_anew() -> None:
        await store.drop(["k"])
        assert await fill(store, "k")

    await at_last(is_none)
    await at_last(is_filled_anew)
    assert await store.read(["k"]) == [entry()]


async def test_a_server_that_was_killed_is_empty_and_of_use_again(servers, opened):
    store = await opened(servers[0], within_s=0.3)
    await fill(store, "k")
    loan = await store.lend("k", now=NOW, for_s=10)
    assert loan.token is not None

    servers[0].kill()
    for act in (
        lambda: store.read(["k"]),
        lambda: store.read(["k", "j"]),
        lambda: store.lend("k", now=NOW, for_s=10),
        lambda: store.put("k", entry(), token=1),
        lambda: store.give_back("k", token=1),
        lambda: store.drop(["k"]),
        lambda: store.drop(["k"], cause="1"),
        store.figures,
    ):
        with pytest.raises(CacheTrouble):
            await act()
    servers[0].start()
    await at_last(lambda: store.read(["k"]))

    assert await store.read(["k"]) == [None]
    assert not await store.put("k", entry(), token=loan.token)
    assert await fill(store, "k")


async def test_a_server_that_is_away_for_long_is_found_again(servers, opened, monkeypatch):
    """The library waits twice as long after each attempt, and at last for ever: here already after the first one."""

    async def never_again(_seconds: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(connection_pool, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": never_again}))
    servers[0].kill()
    store = await opened(servers[0], within_s=0.2)
    with pytest.raises(CacheTrouble):
        await store.read(["k"])

    servers[0].start()
    await at_last(lambda: store.read(["k"]))

    assert await store.read(["k"]) == [None]


async def test_the_store_starts_before_its_servers(opened):
    server = MemcachedServer()
    store = await opened(server, within_s=0.2)
    try:
        with pytest.raises(CacheTrouble):
            await store.read(["k"])
        server.start()

        await at_last(lambda: fill(store, "k"))
        assert await store.read(["k"]) == [entry()]
    finally:
        server.stop()


async def test_a_store_that_is_not_started_or_closed_is_in_trouble(servers, opened):
    store = await opened(*servers)
    await store.close()
    await store.close()
    never = MemcachedStore(address=f"memcached://{servers[0].place}", clock=SystemClock(), chance=random.Random(1))

    for it in (store, never):
        with pytest.raises(CacheTrouble):
            await it.read(["k"])
    await never.close()


async def test_a_server_that_stands_still_is_trouble_in_time_and_recovers_by_itself(servers, opened):
    store = await opened(servers[0], within_s=0.2)
    await fill(store, "k")

    with servers[0].frozen():
        for act in (
            lambda: store.read(["k"]),
            lambda: store.lend("k", now=NOW, for_s=10),
            lambda: store.drop(["k"]),
            store.figures,
        ):
            with pytest.raises(CacheTrouble):
                await act()
        together = await asyncio.gather(*(store.read([f"k{i}"]) for i in range(200)), return_exceptions=True)
        assert all(isinstance(answer, CacheTrouble) for answer in together)

    await at_last(lambda: fill(store, "j"))
    assert await store.read(["j"]) == [entry()]


async def test_a_key_of_a_server_that_is_away_is_in_trouble_and_nowhere_else(servers, opened):
    """Else a drop would be made elsewhere, and what is old be there again when the server is."""
    store = await opened(*servers, within_s=0.2)
    keys = [f"k{number}" for number in range(40)]
    for key in keys:
        await at_last(partial(fill, store, key, entry(b'"old"')))
    theirs = keys_of(servers[0], among=keys)
    others = [key for key in keys if key not in theirs]

    with servers[0].frozen():
        for key in theirs[:3]:
            for act in (
                lambda key=key: store.drop([key, others[0]]),
                lambda key=key: store.read([key]),
                lambda key=key: store.lend(key, now=NOW, for_s=10),
            ):
                with pytest.raises(CacheTrouble):
                    await act()
        assert keys_of(servers[1], among=keys) == others[1:]
        for key in others[1:]:
            assert await store.read([key]) == [entry(b'"old"')]

    assert servers[0].ask(b"version").startswith(b"VERSION")
    for key in theirs[:3]:
        await at_last(partial(store.drop, [key]))
        assert await store.read([key]) == [None]


async def test_keys_of_the_server_that_is_left_go_on_while_the_other_is_gone(servers, opened):
    store = await opened(*servers, within_s=1.0)
    keys = [f"k{number}" for number in range(40)]
    for key in keys:
        await fill(store, key)
    left = keys_of(servers[1], among=keys)

    servers[0].kill()

    assert await store.read(left) == [entry()] * len(left)
    await store.drop(left[:1])
    assert await fill(store, left[0], entry(version=2))
    figures = await store.figures()
    assert (figures["servers"], figures["servers_that_answer"], figures["keys"]) == (2, 1, len(left))
    with pytest.raises(CacheTrouble):
        await store.read(keys)


async def test_a_flush_under_use_costs_loans_and_nothing_else(servers, opened):
    store = await opened(*servers)
    is_over = False

    async def use(number: int) -> None:
        key = f"k{number}"
        value = entry(b"%d" % number)
        while not is_over:
            loan = await store.lend(key, now=NOW, for_s=10)
            if loan.token is not None:
                await store.put(key, value, token=loan.token)
            assert (await store.read([key]))[0] in (None, value)
            await store.drop([key])

    async def flush() -> None:
        nonlocal is_over
        for _ in range(50):
            for server in servers:
                server.ask(b"flush_all")
            await asyncio.sleep(0.002)
        is_over = True

    await asyncio.gather(flush(), *(use(number) for number in range(10)))

    assert await fill(store, "k")


async def test_a_full_server_forgets_some_entries_and_refuses_nothing_for_long(opened):
    with memcached_server(megabytes=8) as small:
        store = await opened(small)
        chance = random.Random(3)
        kept: dict[str, Entry] = {}
        for number in range(600):
            value = entry(b'"%b"' % (b"x" * chance.choice([10, 1_000, 60_000, 300_000])), version=number)
            try:
                if await fill(store, f"k{number}", value):
                    kept[f"k{number}"] = value
            except CacheTrouble:
                continue

        found = {key: (await store.read([key]))[0] for key in kept}

        assert len(kept) > 300
        assert all(it in (None, kept[key]) for key, it in found.items())
        assert any(it is None for it in found.values())
        assert any(it is not None for it in found.values())
        assert (await store.figures())["memory_bytes"] <= 8 * 1024 * 1024


async def test_who_is_cancelled_leaves_no_answer_for_others(servers, opened):
    """A connection with an unread answer would give it to whoever asks next."""
    store = await opened(*servers)
    values = {f"k{number}": entry(b'"%b"' % (b"%d " % number * 2_000)) for number in range(50)}
    for key, value in values.items():
        await fill(store, key, value)
    chance = random.Random(5)

    async def ask(key: str) -> None:
        assert await store.read([key]) == [values[key]]
        other = chance.choice(list(values))
        assert await store.read([key, other]) == [values[key], values[other]]
        loan = await store.lend(key, now=NOW, for_s=0)
        if loan.token is not None:
            await store.put(key, values[key], token=loan.token)

    ended = 0
    for _ in range(30):
        tasks = [asyncio.create_task(ask(key)) for key in chance.sample(list(values), 30)]
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
            chance.choice(tasks).cancel()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            assert answer is None or isinstance(answer, asyncio.CancelledError)
            ended += answer is None

    assert ended > 100
    assert await store.read(list(values)) == list(values.values())


async def test_a_server_without_compare_and_set_is_trouble(opened):
    with memcached_server("-C") as server:
        store = await opened(server)
        await store.lend("k", now=NOW, for_s=0)

        with pytest.raises(CacheTrouble):
            await store.lend("k", now=NOW, for_s=10)


async def test_it_cannot_say_which_keys_it_has(servers, opened):
    store = await opened(*servers)

    with pytest.raises(CacheTrouble):
        await store.names("k", limit=10)


def test_an_address_names_servers_and_a_namespace():
    assert Address.of("memcached://a").places == (Place(host="a", port=11211),)
    assert Address.of("memcached://A.example:1,[::1]:2,[2001:DB8::0]/?namespace=x").places == (
        Place(host="a.example", port=1),
        Place(host="::1", port=2),
        Place(host="2001:db8::", port=11211),
    )
    assert Address.of("memcached://a").namespace == "hansa"
    assert Address.of("memcached://a?namespace=shop-2").namespace == "shop-2"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begin with"),
        ("redis://a", "begin with"),
        ("memcached:a", "after the servers"),
        ("memcached://", "server 1"),
        ("memcached://a,,b", "server 2"),
        ("memcached://a,b:", "port .* server 2"),
        ("memcached://a:0", "port"),
        ("memcached://a:65536", "port"),
        ("memcached://a:1:2", "port"),
        ("memcached://a:x", "port"),
        ("memcached://a b", "blanks"),
        ("memcached://ä", "ASCII"),
        ("memcached://a..b", "host"),
        ("memcached://-a", "host"),
        ("memcached://[::1", "URL"),
        ("memcached://[::x]:1", "URL|IPv6"),
        ("memcached://[::1]2", "URL|address"),
        ("memcached://a,A:11211", "twice"),
        ("memcached://me:secret@a", "user"),
        ("memcached://a/0", "nothing after"),
        ("memcached://a#b", "nothing after"),
        ("memcached://a?namespace=", "1 to 24"),
        ("memcached://a?namespace=a b", "blanks"),
        ("memcached://a?namespace=a%20b", "1 to 24"),
        ("memcached://a?namespace=" + "n" * 25, "1 to 24"),
        ("memcached://a?namespace=a&namespace=b", "once"),
        ("memcached://a?timeout=1", "nothing behind"),
        ("memcached://a?namespace", "nothing behind"),
        ("memcached://" + ",".join(f"s{number}" for number in range(MOST_SERVERS + 1)), "more than"),
    ],
)
def test_an_address_that_is_none_says_why(url, why):
    with pytest.raises(ValueError, match=why) as told:
        Address.of(url)
    assert "secret" not in str(told.value)


@given(
    st.lists(
        st.builds(
            Place,
            host=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{1,5}){0,2}", fullmatch=True)
            | st.ip_addresses().map(str),
            port=st.integers(1, 65_535),
        ),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=24),
)
def test_an_address_is_read_as_it_is_written(places, namespace):
    address = Address(places=tuple(places), namespace=namespace)

    assert Address.of(str(address)) == address


@given(st.text(max_size=60).map("memcached://".__add__) | st.text(max_size=60))
@example("memcached://[::1%25eth0]")
@example("memcached://a\n")
@example("memcached://a:١")
def test_no_text_is_more_than_refused(text):
    try:
        address = Address.of(text)
    except ValueError as error:
        said = str(error)
    else:
        assert Address.of(str(address)) == address
        return
    assert said.startswith(("must", "is no", "has no", "names"))
