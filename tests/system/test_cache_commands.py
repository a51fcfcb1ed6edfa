"""The commands for the cache: asked, emptied and warmed, with a store and without one, served or not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.memcached_server import MemcachedServer
from tests.redis_server import RedisServer
from tests.served import Served, pause

READS = 20
LOOKS = 100
SLUG = "products.slug"
PRODUCT = "products.product"


class Kept(Served):
    """A shop with a cache, and what of it was read."""

    def __init__(self, folder: Path, *, cache: str) -> None:
        super().__init__(folder)
        self.environment["HANSA_CACHE"] = cache

    def start(self) -> float:
        """What the shop was furnished with is on its way to the store for a moment, and until then not kept in it."""
        took_s = super().start()
        for _ in range(LOOKS):
            if not self.figures()["pending"]:
                return took_s
            pause()
        raise AssertionError("the store was never told of everything")

    def read_a_product(self) -> tuple[str, str]:
        """The names of what is kept of it: whose its slug is, and how it is shown."""
        product = self.get("/api/v1/products?limit=1")["items"][0]
        for number in range(READS):  # past the pages that are kept ready-made
            self.get(f"/api/v1/products/{product['slug']}?currency={'EUR' if number % 2 else 'USD'}")
        return f"{SLUG}:{{{product['slug']}}}", f"{PRODUCT}:{{{product['id']}}}:en:USD:main"

    def figures(self) -> dict[str, Any]:
        done = self.run("cache", "stats", "--json")
        assert done.returncode == 0, done.stderr
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures

    def loads(self) -> int:
        return sum(each["counts"]["loads"] for each in self.figures()["families"])

    def inspected(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("cache", "inspect", name, "--json").stdout)
        return found

    def said_to(self, *arguments: str) -> tuple[int, str]:
        done = self.run("cache", *arguments)
        return done.returncode, done.stdout or done.stderr


@pytest.fixture(scope="module")
def redis(redis_server: RedisServer) -> RedisServer:
    redis_server.start()
    return redis_server


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[Kept]:
    """A shop with Redis that serves."""
    served = Kept(tmp_path_factory.mktemp("cached") / "data", cache=f"{redis.url}?namespace=commands")
    served.start()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def with_the_store(redis: RedisServer) -> None:
    redis.start()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A shop whose cache is in its memory alone."""
    served = Kept(tmp_path_factory.mktemp("embedded") / "data", cache="memory:")
    served.start()
    yield served
    served.stop()


def test_what_became_of_reads_is_told(shop: Kept) -> None:
    slug, product = shop.read_a_product()

    figures = shop.figures()
    status, said = shop.said_to("stats")

    assert status == 0
    counts = {each["family"]: each["counts"] for each in figures["families"]}
    assert counts[PRODUCT]["loads"] >= 1
    assert figures["breaker"] == "closed"
    assert figures["store"]["keys"] >= 2
    assert {slug, product} <= {each["name"] for each in figures["hottest"]}
    assert f"{PRODUCT} " in said
    assert "breaker closed" in said
    assert product in said


def test_what_there_is_of_a_key_is_told(shop: Kept) -> None:
    slug, product = shop.read_a_product()

    found = shop.inspected(product)
    status, said = shop.said_to("inspect", product)

    assert status == 0
    assert found["memory"]["good_s"] > 0
    assert json.loads(found["store"]["value"])["id"] in product
    assert found["store"]["version"] >= 1
    assert said.startswith(f"{product}\nmemory: a value, fresh for ")
    assert f"\nstore: version {found['store']['version']}, made 2" in said
    assert shop.said_to("inspect", slug)[0] == 0


def test_of_a_key_that_is_not_there_it_is_told_what_may_be_meant(shop: Kept) -> None:
    slug, product = shop.read_a_product()

    status, said = shop.said_to("inspect", product.removesuffix(":en:USD:main"))
    assert status == 1
    assert "memory: nothing\nstore: nothing\nThere are keys that begin so:\n" in said
    assert product in said
    for name in ("baker-boy-cap", "}", "{", "products.slug", "nonsense:about"):
        status, said = shop.said_to("inspect", name)
        assert status == 1
        assert "memory: nothing\nstore: nothing\n" in said, name
        assert slug.split("{")[0] in said, name
    assert shop.said_to("inspect", "products.slug:{there-is-none}") == (
        1,
        "products.slug:{there-is-none}\nmemory: nothing\nstore: nothing\n",
    )


def test_keys_are_dropped_by_how_they_begin(shop: Kept) -> None:
    slug, product = shop.read_a_product()

    status, said = shop.said_to("drop", f"{PRODUCT}:")

    assert status == 0
    assert "dropped from the store" in said
    gone, left = shop.inspected(product), shop.inspected(slug)
    assert gone["memory"] is None
    assert gone["store"] is None
    assert left["store"] is not None
    assert shop.said_to("drop", slug) == (
        0,
        "1 key was dropped from the store; the memory of the shop's process was emptied.\n",
    )
    assert shop.said_to("drop", "products.")[1].startswith("0 keys were dropped")


@pytest.mark.parametrize("prefix", ["}", "{", "{}", "*", "products.slug:{x}:about", "no-such:"])
def test_what_can_be_no_key_is_dropped_without_trouble(shop: Kept, prefix: str) -> None:
    status, said = shop.said_to("drop", prefix)

    assert (status, said.split(" were")[0]) == (0, "0 keys")


def test_what_was_read_of_late_is_read_again_and_then_is_there(shop: Kept) -> None:
    slug, product = shop.read_a_product()
    assert shop.said_to("drop", "products.")[0] == 0
    loads = shop.loads()

    status, said = shop.said_to("warm")

    assert status == 0
    assert "keys were read; " in said
    assert shop.inspected(product)["memory"] is not None
    assert shop.inspected(slug)["store"] is not None
    assert shop.loads() > loads


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["look"],
        ["inspect"],
        ["inspect", "two words"],
        ["inspect", ""],
        ["inspect", "帽子"],
        ["inspect", "x" * 201],
        ["drop"],
        ["drop", ""],
        ["drop", "a\nb"],
        ["drop", "one", "two"],
        ["warm", "products."],
        ["stats", "products."],
    ],
    ids=ascii,
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    """Before anything is looked for: there is not even a shop."""
    done = Kept(tmp_path / "none", cache="memory:").run("cache", *arguments)

    assert done.returncode == 2
    assert "usage: hansa" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_away_is_said_to_be_and_the_shop_serves_on(shop: Kept, redis: RedisServer) -> None:
    slug, _ = shop.read_a_product()
    redis.kill()

    shop.read_a_product()
    status, said = shop.said_to("stats")
    assert status == 0
    assert "store: does not answer" in said
    for act in (["inspect", slug], ["drop", "products."]):
        status, said = shop.said_to(*act)
        assert status == 2
        assert said.startswith("hansa: the cache ")
        assert "Traceback" not in said
    assert shop.said_to("warm")[0] == 0
    shop.read_a_product()


def test_without_a_store_there_is_the_memory_of_the_shop_that_serves(embedded: Kept) -> None:
    slug, product = embedded.read_a_product()

    found = embedded.inspected(product)
    status, said = embedded.said_to("stats")
    assert status == 0
    assert "store: none, this process has its memory only" in said
    assert found["memory"] is not None
    assert found["store"] is None

    status, said = embedded.said_to("drop", f"{PRODUCT}:")
    assert (status, said) == (
        0,
        "The memory of the shop's process was emptied, of all keys; there is no store (`cache` is `memory:`).\n",
    )
    assert embedded.inspected(slug)["memory"] is None
    assert embedded.said_to("warm")[0] == 0
    assert embedded.inspected(product)["memory"] is not None


def test_what_was_read_most_often_is_read_before_the_next_process_serves(embedded: Kept) -> None:
    slug, product = embedded.read_a_product()
    embedded.stop()
    file = embedded.folder / "cache-hottest.json"
    assert {slug, product} <= set(json.loads(file.read_bytes()))

    embedded.start()

    assert embedded.inspected(product)["memory"] is not None
    assert embedded.inspected(slug)["memory"] is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1, 2]",
        b'["products.slug:{a',
        b"\xff\x00",
        b"[" * 100_000,
        b'["' + b"x" * 50_000_000 + b'"]',
        json.dumps(["", "x" * 5000, "products.slug:" + "{x}" * 200, "no.such:{1}", "products.product:{1}"]).encode(),
        json.dumps([f"products.slug:{{none-{number}}}" for number in range(900)]).encode(),
    ],
    ids=["empty", "object", "numbers", "cut", "binary", "deep", "huge", "no keys", "unknown"],
)
def test_a_damaged_or_huge_file_of_what_was_read_is_no_trouble(embedded: Kept, content: bytes) -> None:
    embedded.stop()
    (embedded.folder / "cache-hottest.json").write_bytes(content)

    embedded.start()

    embedded.read_a_product()
    assert embedded.said_to("warm")[0] == 0


def test_the_same_is_to_be_had_of_a_shop_that_does_not_serve(shop: Kept, embedded: Kept) -> None:
    slug, product = shop.read_a_product()
    shop.stop()
    embedded.stop()

    status, said = shop.said_to("stats")
    assert status == 0
    assert "nothing was read yet" in said
    assert shop.said_to("inspect", product)[0] == 0
    assert "1 key was dropped" in shop.said_to("drop", product)[1]
    assert shop.said_to("inspect", product)[0] == 1
    assert shop.said_to("warm")[0] == 0
    assert shop.said_to("inspect", product)[0] == 0
    for act in (["stats"], ["drop", slug], ["warm"]):
        assert embedded.said_to(*act)[0] == 0


def test_a_store_that_cannot_list_its_keys_drops_one_by_its_name(
    tmp_path: Path, memcached_servers: tuple[MemcachedServer, MemcachedServer]
) -> None:
    for server in memcached_servers:
        server.start()
    places = ",".join(server.place for server in memcached_servers)
    shop = Kept(tmp_path / "data", cache=f"memcached://{places}?namespace=commands")
    shop.start()
    try:
        slug, _ = shop.read_a_product()

        status, said = shop.said_to("drop", "products.")
        assert status == 2
        assert "Memcached does not say which keys it has" in said
        assert shop.inspected(slug)["store"] is not None
        assert shop.said_to("drop", slug)[1].startswith("1 key was dropped")
        assert shop.inspected(slug)["store"] is None
    finally:
        shop.stop()


def test_a_folder_without_a_shop_is_refused_and_left_alone(tmp_path: Path) -> None:
    nowhere = Kept(tmp_path / "nowhere", cache="memory:")

    for act in (["stats"], ["inspect", "a"], ["drop", "a"], ["warm"]):
        status, said = nowhere.said_to(*act)
        assert (status, said.split(" in ")[0]) == (2, "hansa: there is no shop")
    assert not nowhere.folder.exists()
