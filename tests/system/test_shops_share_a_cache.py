"""Two shops on one database and one cache: both show what one of them changes, and no trouble with the cache."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from hansa.services.products.contract import NoSuchProduct, Product
from hansa.services.products.service.finding import PRODUCT, SLUG
from tests.memcached_server import MemcachedServer
from tests.redis_server import RedisServer
from tests.shops import OpenedShop, opened_shop

READS = {
    "product": "/api/v1/products/hat",
    "list": "/api/v1/products?limit=5",
    "product page": "/en/products/hat",
}
MADE_UP = ("%7D", "%7B", "%7B%7D", "a%7Db", "%7D:en", "x:about", "a%20b", "%E5%B8%BD", "x" * 300)
PATIENCE_S = 30.0
PRICES = itertools.count(2001)
NUMBERS = itertools.count(1)
READERS = 4
READS_OF_B = 200


@dataclass(kw_only=True)
class Pair:
    """Two shops; what they share; and what went wrong for those who read all the time."""

    a: OpenedShop
    b: OpenedShop
    servers: tuple[RedisServer, ...] | tuple[MemcachedServer, ...]
    token: str = ""
    product_id: str = ""
    failures: list[str] = field(default_factory=list)

    @property
    def both(self) -> tuple[OpenedShop, OpenedShop]:
        return self.a, self.b

    async def put(self, *, stock: int = 10) -> None:
        self.product_id = await self.a.put_product("HAT", stock=stock, USD=1999)
        self.token = await self.a.staff()
        for shop in self.both:
            await shown(shop, "1999", "19.99")
            await until(partial(read_all_have, shop, '"available":true'), "stock is to be seen")

    async def edit(self, amount: int) -> None:
        """Change the price, through the first shop's API."""
        prices = [{"amount": amount, "currency": "USD"}]
        body = {"variants": [{"sku": "HAT", "prices": prices, "weight_grams": 300}]}
        status, answer = await self.a.request(
            "PATCH", f"/admin/products/{self.product_id}", body, token=self.token, headers={"If-Match": "*"}
        )
        assert status == 200, answer

    @asynccontextmanager
    async def being_read(self) -> AsyncIterator[None]:
        """Meanwhile somebody reads everything in both shops, and notes whatever is not answered."""
        tasks = [asyncio.create_task(self._read(shop)) for shop in self.both for _ in range(READERS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, shop: OpenedShop) -> None:
        for path in itertools.cycle(READS.values()):
            try:
                async with shop.session.get(path) as response:
                    if response.status != 200:
                        self.failures.append(f"{path}: {response.status}")
                    await response.read()
                await of_service(shop)
            except Exception as error:
                self.failures.append(f"{path}: {type(error).__name__} {error}")
            await asyncio.sleep(0.005)

    async def well(self) -> None:
        """Return when both shops use the store again, and it knows of all changes."""
        for shop in self.both:
            shared = shop.shop.cache.shared
            assert shared is not None

            async def is_well(shop: OpenedShop = shop, shared: Any = shared) -> bool:
                await ask_the_store(shop)
                is_used = shared.breaker.state == "closed" and not shared.pending
                return is_used and not shop.shop.cache.is_deaf

            await until(is_well, "the store is used again")


async def of_service(shop: OpenedShop) -> Product:
    """The hat past all pages that are kept ready-made."""
    found = await shop.products.get(name="hat", locale="en", currency="USD")
    assert isinstance(found, Product)
    return found


async def ask_the_store(shop: OpenedShop) -> None:
    """As what is in no memory is."""
    with suppress(NoSuchProduct):
        await shop.products.get(name=f"no-hat-{next(NUMBERS)}", locale="en", currency="USD")


async def read(shop: OpenedShop, path: str) -> str:
    async with shop.session.get(path) as response:
        text = await response.text()
        assert response.status == 200, (path, text)
        return text


async def reads(shop: OpenedShop) -> dict[str, str]:
    return {name: await read(shop, path) for name, path in READS.items()}


async def read_all_have(shop: OpenedShop, text: str) -> bool:
    """Whether each answer of the API has it."""
    return all(text in said for name, said in (await reads(shop)).items() if name in ("product", "list"))


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"within {PATIENCE_S} s it did not come to pass that {what}") from None


def spelt(amount: int) -> tuple[str, str]:
    return f'"amount":{amount}', f"{amount // 100}.{amount % 100:02}"


async def shown(shop: OpenedShop, *spellings: str) -> None:
    """Return when everything shows one of these."""

    async def is_shown() -> bool:
        return all(any(each in said for each in spellings) for said in (await reads(shop)).values())

    await until(is_shown, f"{spellings} is shown")


async def assert_shows(shop: OpenedShop, amount: int) -> None:
    """Everything does, at once."""
    for name, said in (await reads(shop)).items():
        assert any(each in said for each in spelt(amount)), (name, amount)
    [variant] = (await of_service(shop)).variants
    assert variant.price is not None
    assert variant.price.amount == amount


async def is_in_trouble(shop: OpenedShop) -> bool:
    """Whether a shop has noticed that the store does not answer."""
    await ask_the_store(shop)
    shared = shop.shop.cache.shared
    assert shared is not None
    return shared.breaker.state != "closed"


def loads(shop: OpenedShop) -> int:
    """How often a shop has asked its database for a product or a slug."""
    shelves = shop.shop.cache.shelves
    return shelves[PRODUCT.name].counts.loads + shelves[SLUG.name].counts.loads


@pytest.fixture(params=["redis", "memcached"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_dsn: str, bus_at: Callable[[str], str]
) -> AsyncIterator[Pair]:
    """Redis tells the shops of each other's changes; where Memcached cannot, a broker does."""
    servers: Any
    if request.param == "redis":
        servers = (request.getfixturevalue("redis_server"),)
        servers[0].start()
        cache, bus = f"{servers[0].url}?namespace=pair{next(NUMBERS)}", "local:"
    else:
        servers = request.getfixturevalue("memcached_servers")
        for server in servers:
            server.start()
        places = ",".join(server.place for server in servers)
        cache, bus = f"memcached://{places}?namespace=pair{next(NUMBERS)}", bus_at("redis")
    first, second = tmp_path / "a", tmp_path / "b"
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(opened_shop(folder=first, dsn=postgres_dsn, bus=bus, cache=cache))
        second.mkdir()
        shutil.copy(first / "master.key", second / "master.key")
        b = await stack.enter_async_context(opened_shop(folder=second, dsn=postgres_dsn, bus=bus, cache=cache))
        made = Pair(a=a, b=b, servers=servers)
        await made.put()
        yield made


@contextmanager
def frozen(pair: Pair) -> Iterator[None]:
    """All servers neither answer nor end."""
    with ExitStack() as stack:
        for server in pair.servers:
            stack.enter_context(server.frozen())
        yield


async def test_a_price_is_shown_by_the_next_read_of_the_shop_that_changed_it_and_soon_by_the_other(pair: Pair):
    async with pair.being_read():
        for amount in itertools.islice(PRICES, 5):
            await pair.edit(amount)
            await assert_shows(pair.a, amount)
            await shown(pair.b, *spelt(amount))
            await assert_shows(pair.b, amount)

    assert pair.failures == []


async def test_what_one_shop_has_read_the_other_need_not_ask_the_database_for(pair: Pair):
    await of_service(pair.a)
    before = loads(pair.b)

    for _ in range(READS_OF_B):
        await of_service(pair.b)
    for amount in itertools.islice(PRICES, 3):
        await pair.edit(amount)
        await of_service(pair.a)
        await shown(pair.b, *spelt(amount))
        for _ in range(READS_OF_B):
            await of_service(pair.b)

    assert loads(pair.b) - before < READS_OF_B // 10


async def test_that_the_last_piece_was_sold_in_one_shop_is_shown_in_the_other(pair: Pair):
    status, order = await pair.a.order("HAT", quantity=10)
    assert status == 201, order

    await until(partial(read_all_have, pair.b, '"available":false'), "the hat is sold out in the other shop")
    assert await read_all_have(pair.a, '"available":false')
    assert not (await of_service(pair.b)).variants[0].available


async def test_a_cache_that_dies_and_comes_back_with_old_content_fails_no_request_and_shows_nothing_old(pair: Pair):
    await asyncio.gather(*(of_service(shop) for shop in pair.both))
    during, after = next(PRICES), next(PRICES)
    async with pair.being_read():
        for server in pair.servers:
            server.kill()
        await pair.edit(during)
        await assert_shows(pair.a, during)
        await shown(pair.b, *spelt(during))

        for server in pair.servers:
            server.start()
        await assert_shows(pair.a, during)
        await pair.well()
        await shown(pair.b, *spelt(during))
        for shop in pair.both:
            await assert_shows(shop, during)

        await pair.edit(after)
        await assert_shows(pair.a, after)
        await shown(pair.b, *spelt(after))

    assert pair.failures == []


async def test_a_cache_that_hangs_fails_no_request_and_shows_nothing_old_afterwards(pair: Pair):
    await asyncio.gather(*(of_service(shop) for shop in pair.both))
    during = next(PRICES)
    async with pair.being_read():
        with frozen(pair):
            await pair.edit(during)
            await assert_shows(pair.a, during)
            for shop in pair.both:
                await until(partial(is_in_trouble, shop), "the store is known to be in trouble")
            await assert_shows(pair.a, during)

        await assert_shows(pair.a, during)
        await pair.well()
        await shown(pair.b, *spelt(during))
        for shop in pair.both:
            await assert_shows(shop, during)

    assert pair.failures == []


async def test_no_name_that_somebody_makes_up_is_trouble_to_the_store(pair: Pair):
    for shop, name in itertools.product(pair.both, MADE_UP):
        for path in (f"/api/v1/products/{name}", f"/en/products/{name}"):
            async with shop.session.get(URL(path, encoded=True)) as response:
                assert response.status == 404, path


async def test_whichever_shop_sells_and_edits_both_end_with_the_same(pair: Pair):
    """Also what was changed through the second one, which has not made the product."""
    await asyncio.gather(*(of_service(shop) for shop in pair.both))
    [status, _] = await pair.b.order("HAT", quantity=10)
    assert status == 201

    for shop in pair.both:
        await until(partial(read_all_have, shop, '"available":false'), "the hat is sold out")
    one, other = [await of_service(shop) for shop in pair.both]
    assert one == other
