"""Posts that reach public addresses alone, wait no longer than they may, and take nothing else along."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hansa.platform.outgoing import guarded
from hansa.platform.outgoing.guarded import Guarded, Lookup
from hansa.platform.outgoing.late import LatePoster
from hansa.platform.outgoing.port import NotAnswered
from tests.platform.outgoing.receiver import Got, Receiver, answer, receiving
from tests.ports import free_port

HEADERS = {"content-type": "application/json", "webhook-id": "1"}
PUBLIC = "93.184.216.34"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def open_poster() -> AsyncIterator[Guarded]:
    """May reach this machine."""
    poster = Guarded(may_be_private=True)
    yield poster
    await poster.close()


def own_certificate(folder: Path, name: str) -> Path:
    """A certificate that its owner signed, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(called, called, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


async def reason_of(poster: Guarded, url: str) -> str:
    with pytest.raises(NotAnswered) as failed:
        await poster.post(url=url, headers=HEADERS, body=b"{}")
    return failed.value.reason


def names(**known: list[str]) -> Lookup:
    """Names under `.example.com` and what they resolve to, each time the next of its answers."""

    async def lookup(host: str, port: int) -> list[str]:
        answers = known.get(host.removesuffix(".example.com"))
        if not answers:
            raise OSError("no such name")
        return (answers.pop(0) if len(answers) > 1 else answers[0]).split()

    return lookup


async def test_a_body_and_its_headers_arrive_as_they_are(open_poster: Guarded, receiver: Receiver):
    receiver.always(answer(201, "Retry-After: 7", body=b"thanks"))
    answered = await open_poster.post(url=f"{receiver.url}?a=%2F&b", headers=HEADERS, body=b'{"a": 1}')

    assert (answered.status, answered.retry_after) == (201, "7")
    [got] = receiver.got
    assert (got.line, got.body) == ("POST /hook?a=%2F&b HTTP/1.1", b'{"a": 1}')
    assert got.headers["webhook-id"] == "1"
    assert got.headers["content-type"] == "application/json"
    assert "cookie" not in got.headers


async def test_connections_are_used_again_and_cookies_are_not_kept(receiver: Receiver):
    receiver.always(answer(200, "Set-Cookie: who=me; Path=/", body=b"x" * 100))
    poster = Guarded(may_be_private=True, lookup=names(here=["127.0.0.1"]))
    for _ in range(3):
        await poster.post(url=f"http://here.example.com:{receiver.port}/", headers=HEADERS, body=b"{}")
    await poster.close()

    assert receiver.connections == 1
    assert not [got for got in receiver.got if "cookie" in got.headers]


async def test_a_redirect_is_an_answer_and_is_not_followed(open_poster: Guarded, receiver: Receiver):
    async with receiving() as elsewhere:
        receiver.always(answer(307, f"Location: {elsewhere.url}"))
        answered = await open_poster.post(url=receiver.url, headers=HEADERS, body=b"{}")

        assert (answered.status, elsewhere.got) == (307, [])


async def test_of_a_long_body_only_the_beginning_is_read(open_poster: Guarded, receiver: Receiver):

    async def endless(got: Got) -> bytes:
        return answer(200)[:-2].replace(b"Content-Length: 0", b"Content-Length: 1000000000") + b"\r\n" + b"x" * 200_000

    receiver.say = endless
    answered = await open_poster.post(url=receiver.url, headers=HEADERS, body=b"{}")
    await open_poster.post(url=receiver.url, headers=HEADERS, body=b"{}")

    assert answered.status == 200
    assert receiver.connections == 2, "the first was given up"


async def test_a_body_that_does_not_come_is_not_waited_for(
    open_poster: Guarded, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guarded, "BODY_TIMEOUT_S", 0.01)
    receiver.always(answer(200)[:-2].replace(b"Content-Length: 0", b"Content-Length: 10") + b"\r\n")

    assert (await open_poster.post(url=receiver.url, headers=HEADERS, body=b"{}")).status == 200


async def test_who_does_not_answer_in_time_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guarded, "TIMEOUT_S", 0.05)
    ended = asyncio.Event()

    async def sleep(got: Got) -> bytes:
        await ended.wait()
        return b""

    receiver.say = sleep
    poster = Guarded(may_be_private=True)
    try:
        assert await reason_of(poster, receiver.url) == "timeout"
    finally:
        ended.set()
        await poster.close()


@pytest.mark.parametrize(
    "said", [b"", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"]
)
async def test_what_is_no_answer_is_none(open_poster: Guarded, receiver: Receiver, said: bytes):
    receiver.always(said)

    assert await reason_of(open_poster, receiver.url) == "broken_off"


async def test_why_nobody_was_reached_is_told_in_a_word(receiver: Receiver):
    poster = Guarded(may_be_private=True, lookup=names(here=["127.0.0.1"]))
    try:
        assert await reason_of(poster, f"http://127.0.0.1:{free_port()}/") == "connection"
        assert await reason_of(poster, "http://nowhere.example.com/") == "name_unknown"
    finally:
        await poster.close()


async def test_whose_certificate_nobody_vouches_for_is_sent_nothing(tmp_path: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate(tmp_path, "here.example.com"))
    poster = Guarded(may_be_private=True, lookup=names(here=["127.0.0.1"]))
    async with receiving(tls=context) as receiver:
        try:
            assert await reason_of(poster, f"https://here.example.com:{receiver.port}/") == "tls"
        finally:
            await poster.close()
        assert receiver.got == []


@pytest.mark.parametrize(
    "addresses", ["127.0.0.1", f"{PUBLIC} 127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "fe80::1%lo", "127.1"]
)
async def test_a_name_that_leads_inside_is_not_followed(addresses: str, receiver: Receiver):
    poster = Guarded(may_be_private=False, lookup=names(evil=[addresses]))
    try:
        assert await reason_of(poster, f"https://evil.example.com:{receiver.port}/") == "address_refused"
    finally:
        await poster.close()
    assert receiver.connections == 0


async def test_a_name_that_answers_otherwise_the_second_time_is_not_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guarded, "NAMES_KEPT_S", 0)
    monkeypatch.setattr(guarded, "flaw_of", lambda url, may_be_private: None)
    monkeypatch.setattr(guarded, "is_public", lambda address: address == "127.0.0.1")  # as if it were
    receiver.always(answer(200, "Connection: close"))
    poster = Guarded(may_be_private=False, lookup=names(rebound=["127.0.0.1", "127.0.0.2"]))
    url = f"http://rebound.example.com:{receiver.port}/"
    try:
        assert (await poster.post(url=url, headers=HEADERS, body=b"{}")).status == 200
        assert await reason_of(poster, url) == "address_refused"
    finally:
        await poster.close()
    assert receiver.got[0].headers["host"] == f"rebound.example.com:{receiver.port}"


async def test_no_socket_is_opened_to_an_address_that_was_not_checked(receiver: Receiver):
    """As if a resolver, or a cache of one, had given it without looking."""
    poster = Guarded(may_be_private=False, lookup=names(x=[PUBLIC]))
    connector = poster._session.connector
    assert connector is not None

    async def careless(host: str, port: int, traces: object = None) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 0}]

    connector._resolve_host = careless  # type: ignore[attr-defined]
    try:
        assert await reason_of(poster, f"https://x.example.com:{receiver.port}/") == "address_refused"
    finally:
        await poster.close()
    assert receiver.connections == 0


async def test_one_address_inside_spoils_all_of_a_name():
    resolver = guarded._Resolver(may_be_private=False, lookup=names(mixed=[f"{PUBLIC} 10.0.0.1"], fine=[PUBLIC]))

    assert [each["host"] for each in await resolver.resolve("fine.example.com", 443)] == [PUBLIC]
    with pytest.raises(guarded.AddressRefused):
        await resolver.resolve("mixed.example.com", 443)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://2130706433:{port}/"])
async def test_an_address_of_this_machine_is_refused_before_anything_is_asked(url: str, receiver: Receiver):
    poster = Guarded(may_be_private=False)
    try:
        assert await reason_of(poster, url.format(port=receiver.port)) == "address_refused"
    finally:
        await poster.close()
    assert receiver.connections == 0


async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    poster = LatePoster(may_be_private=True)
    try:
        assert (await poster.post(url=receiver.url, headers=HEADERS, body=b"{}")).status == 204
    finally:
        await poster.close()


def test_no_client_is_loaded_before_something_is_posted():
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from hansa.platform.outgoing.late import LatePoster; "
            "LatePoster(may_be_private=False).flaw(url='https://a.example.com'); print('aiohttp' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "False"
