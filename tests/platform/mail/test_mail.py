"""Mail: whole, once, and without a stranger's headers, into a folder and over SMTP."""

import asyncio
import email
import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.mail.folder import FolderMailer, file_name
from hansa.platform.mail.message import bytes_of, message_of
from hansa.platform.mail.port import Mail, MailFailed, MailInvalid, MailRefused
from hansa.platform.mail.smtp import Security, SmtpMailer, SmtpSettings
from tests.clocks import START, ManualClock

SENDER = "Hansa Shop <shop@example.org>"


def mail_of(**changes: Any) -> Mail:
    fields = {
        "to": "ada@example.org",
        "subject": "Ihre Bestellung – 谢谢",
        "text": "Grüße\nfrom the shop\n",
        "html": "<p>Grüße</p>",
        "message_key": "order-placed-7",
        "locale": "de-DE",
    }
    return Mail(**{**fields, **changes})


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def message(**changes: Any) -> EmailMessage:
    return message_of(mail_of(**changes), sender=SENDER, at=START)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


# The message.


def test_a_message_comes_back_as_it_was_written():
    found = read(message().as_bytes())
    assert found["To"] == "ada@example.org"
    assert found["From"] == SENDER
    assert found["Subject"] == "Ihre Bestellung – 谢谢"
    assert found["Content-Language"] == "de-DE"
    assert found["Date"].datetime == START
    assert body(found, "plain").replace("\r\n", "\n") == "Grüße\nfrom the shop\n"
    assert body(found, "html").strip() == "<p>Grüße</p>"


def test_the_same_mail_makes_the_same_bytes_and_another_key_another_id():
    assert message().as_bytes() == message().as_bytes()
    assert message()["Message-ID"] != message(message_key="order-placed-8")["Message-ID"]
    assert message()["Message-ID"].endswith("@example.org>")


def test_html_may_be_absent():
    assert not message(html=None).is_multipart()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("to", "ada@example.org\r\nBcc: eve@example.org"),
        ("to", "ada@example.org, eve@example.org"),
        ("to", "ada@example.org\n"),
        ("to", "Ada <ada@example.org>"),
        ("to", "ada"),
        ("to", ""),
        ("to", "a" * 300 + "@example.org"),
        ("subject", "Hello\r\nBcc: eve@example.org"),
        ("subject", "Hello\nthere"),
        ("subject", "Hello\x00"),
        ("subject", "Hello\u2028there"),
        ("subject", "x" * 2000),
        ("subject", "\ud800"),
        ("text", "\ud800"),
        ("html", "\ud800"),
        ("locale", "de\r\nBcc: eve@example.org"),
        ("locale", "not a language"),
    ],
)
def test_what_would_become_a_header_of_its_own_is_refused(part: str, value: str):
    with pytest.raises(MailInvalid) as caught:
        message(**{part: value})
    assert caught.value.part == part


@given(to=st.text(max_size=40), subject=st.text(max_size=40), locale=st.text(max_size=10))
def test_no_text_adds_a_header_or_a_recipient(to: str, subject: str, locale: str):
    for change in ({"to": f"{to}@example.org"}, {"subject": subject}, {"locale": locale}):
        try:
            data = message(**change).as_bytes()
        except MailInvalid:
            continue
        found = read(data)
        assert set(found.keys()) <= set(message().keys())
        assert len(found["To"].addresses) == 1


def test_a_domain_in_any_script_is_written_in_ascii():
    assert message(to="ada@bücher.example")["To"] == "ada@xn--bcher-kva.example"


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=300)


@given(
    to=st.sampled_from(
        ["ada@example.org", "a.da+x@mail.example.org", "ada@bücher.example", '"a b"@example.org', "ada"]
    ),
    subject=st.sampled_from(
        ["Your Hansa order 7", "您的订单", "a" * 100, "=?utf-8?q?x?=", "Tab\there", "Hello\nBcc: x"]
    ),
    text=TEXTS,
)
def test_what_is_written_line_by_line_reads_as_what_the_library_writes(to: str, subject: str, text: str):
    mail = mail_of(to=to, subject=subject, text=text, html=None)
    try:
        expected = read(message_of(mail, sender=SENDER, at=START).as_bytes())
    except MailInvalid as refusal:
        with pytest.raises(MailInvalid, match=re.escape(str(refusal))):
            bytes_of(mail, sender=SENDER, at=START)
        return
    found = read(bytes_of(mail, sender=SENDER, at=START))
    encoding = "Content-Transfer-Encoding"
    assert {**dict(found.items()), encoding: ""} == {**dict(expected.items()), encoding: ""}
    assert found.get_content() == expected.get_content()


# The folder.


def folder_mailer(folder: Path) -> FolderMailer:
    return FolderMailer(folder=folder, sender=SENDER, clock=ManualClock())


async def test_a_mail_becomes_a_file_named_by_its_key(tmp_path: Path):
    folder = tmp_path / "mail"
    await folder_mailer(folder).send(mail_of())
    assert os.listdir(folder) == ["order-placed-7.eml"]
    path = folder / "order-placed-7.eml"
    assert read(path.read_bytes())["To"] == "ada@example.org"
    assert path.stat().st_mode & 0o077 == 0


async def test_the_same_key_never_makes_two_files(tmp_path: Path):
    mailer = folder_mailer(tmp_path)
    await asyncio.gather(*(mailer.send(mail_of()) for _ in range(10)))
    await mailer.send(mail_of())
    assert os.listdir(tmp_path) == ["order-placed-7.eml"]


async def test_mails_that_come_together_become_a_file_each(tmp_path: Path):
    mailer = folder_mailer(tmp_path)
    await asyncio.gather(*(mailer.send(mail_of(message_key=f"order-{number}")) for number in range(40)))
    assert sorted(os.listdir(tmp_path)) == sorted(f"order-{number}.eml" for number in range(40))


async def test_of_mails_that_come_together_all_are_told_that_there_was_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_room(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    mailer = folder_mailer(tmp_path)
    with monkeypatch.context() as full:
        full.setattr("hansa.platform.mail.folder._sync_all", no_room)
        sending = (mailer.send(mail_of(message_key=f"order-{number}")) for number in range(5))
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
    # The first has the disk to itself.
    assert [type(outcome) for outcome in outcomes].count(MailFailed) >= 4
    assert len(os.listdir(tmp_path)) == 5 - [type(outcome) for outcome in outcomes].count(MailFailed)


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    ".hidden",
    "a/b",
    "a\\b",
    "a\x00b",
    "x" * 200,
    "ключ",
    "a\nb",
    "~",
]


@pytest.mark.parametrize("key", HOSTILE)
async def test_a_key_cannot_lead_out_of_the_folder(tmp_path: Path, key: str):
    folder = tmp_path / "deep" / "mail"
    await folder_mailer(folder).send(mail_of(message_key=key))
    [made] = os.listdir(folder)
    assert made.endswith(".eml")
    assert not made.startswith(".")
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["mail"]


@given(keys=st.sets(st.text(min_size=1, max_size=50), min_size=2))
def test_two_keys_never_meet_in_one_file(keys: set[str]):
    assert len({file_name(message_key=key) for key in keys}) == len(keys)


async def test_a_folder_that_cannot_be_written_is_a_fault_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "mail").write_text("a file, not a folder")
    with pytest.raises(MailFailed):
        await folder_mailer(tmp_path / "mail").send(mail_of())


async def test_a_mail_that_could_not_be_kept_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_room(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_room)
        with pytest.raises(MailFailed, match="No space"):
            await folder_mailer(tmp_path).send(mail_of())
    assert os.listdir(tmp_path) == []


# SMTP, with a real server.


class Inbox:
    """What a server received, and what it is told to answer."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.greetings: list[str] = []
        self.logins: list[str] = []
        self.reply_to_recipient = "250 OK"
        self.reply_to_data = "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.greetings.append(str(session.host_name))
        if self.reply_to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.reply_to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.reply_to_data.startswith("250"):
            self.received.append(envelope)
        return self.reply_to_data

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data.password == b"right", handled=False)


def content_of(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@asynccontextmanager
async def served(inbox: Inbox, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    """A server on a free port; `tls` from the first byte on."""
    loop = asyncio.get_running_loop()
    options = {"enable_SMTPUTF8": True, **options}
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop, **options), "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def mailer_to(port: int, **changes: Any) -> AsyncIterator[SmtpMailer]:
    fields = {"host": "127.0.0.1", "port": port, "sender": SENDER, "security": Security.NONE, "deadline_s": 5.0}
    mailer = SmtpMailer(settings=SmtpSettings(**{**fields, **changes}), clock=ManualClock())
    try:
        yield mailer
    finally:
        mailer.close()


async def test_a_mail_arrives(inbox: Inbox):
    async with served(inbox) as port, mailer_to(port) as mailer:
        await mailer.send(mail_of())
    [envelope] = inbox.received
    assert (envelope.mail_from, envelope.rcpt_tos) == ("shop@example.org", ["ada@example.org"])
    found = read(content_of(envelope))
    assert found["Subject"] == "Ihre Bestellung – 谢谢"
    assert body(found, "plain").replace("\r\n", "\n") == "Grüße\nfrom the shop\n"
    assert inbox.greetings == ["example.org"]


async def test_a_repeated_mail_has_the_same_message_id(inbox: Inbox):
    async with served(inbox) as port, mailer_to(port) as mailer:
        await asyncio.gather(*(mailer.send(mail_of()) for _ in range(5)))
    assert len({read(content_of(envelope))["Message-ID"] for envelope in inbox.received}) == 1


async def test_an_international_address_is_sent_where_the_server_takes_it(inbox: Inbox):
    to = "jürgen@example.org"
    async with served(inbox) as port, mailer_to(port) as mailer:
        await mailer.send(mail_of(to=to))
    assert inbox.received[0].rcpt_tos == [to]
    async with served(inbox, enable_SMTPUTF8=False) as port, mailer_to(port) as mailer:
        with pytest.raises(MailInvalid):
            await mailer.send(mail_of(to=to))


async def test_a_recipient_who_is_refused_for_good_is_told_apart_from_one_who_is_not(inbox: Inbox):
    async with served(inbox) as port, mailer_to(port) as mailer:
        inbox.reply_to_recipient = "550 no such user ada@example.org"
        with pytest.raises(MailRefused) as caught:
            await mailer.send(mail_of())
        assert caught.value.reply == 550
        assert "ada" not in str(caught.value)
        inbox.reply_to_recipient = "450 ada@example.org is busy"
        with pytest.raises(MailFailed, match="450") as later:
            await mailer.send(mail_of())
        assert "ada" not in str(later.value)
    assert not inbox.received


async def test_content_may_be_refused_for_good_or_for_now(inbox: Inbox):
    async with served(inbox) as port, mailer_to(port) as mailer:
        inbox.reply_to_data = "554 looks like spam"
        with pytest.raises(MailRefused):
            await mailer.send(mail_of())
        inbox.reply_to_data = "452 disk full"
        with pytest.raises(MailFailed):
            await mailer.send(mail_of())


async def test_nobody_at_home_is_a_fault():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with mailer_to(unused.getsockname()[1]) as mailer:
            with pytest.raises(MailFailed, match="could not be reached"):
                await mailer.send(mail_of())


@asynccontextmanager
async def silent_server(greeting: bytes = b"") -> AsyncIterator[int]:
    """Takes connections, greets or not, and never says anything more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:
                    return
                taken[-1].sendall(greeting)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n"])
async def test_a_silent_server_meets_the_deadline_and_its_place_comes_free(greeting: bytes):
    async with silent_server(greeting) as port, mailer_to(port, deadline_s=0.3, connections=1) as mailer:
        for _ in range(2):
            with pytest.raises(MailFailed):
                await asyncio.wait_for(mailer.send(mail_of()), timeout=5)


async def test_a_sender_that_stops_waiting_cuts_the_connection():
    async with silent_server(b"220 hello\r\n") as port, mailer_to(port, deadline_s=60, connections=1) as mailer:
        sending = asyncio.create_task(mailer.send(mail_of()))
        await asyncio.sleep(0.2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(asyncio.to_thread(mailer.close), timeout=5)


async def test_more_than_may_wait_are_turned_away():
    async with silent_server() as port, mailer_to(port, deadline_s=0.3, waiting=2, connections=1) as mailer:
        results = await asyncio.gather(*(mailer.send(mail_of()) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(result, MailFailed) for result in results)
    assert sum("too many" in str(result) for result in results) == 2


class Certificate:
    """A certificate for the local machine that signs itself."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.path = folder / "certificate.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret = folder / "key.pem"
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.path, secret)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_with_tls_one_may_log_in(inbox: Inbox, certificate: Certificate, security: Security):
    way: dict[str, Any] = (
        {"tls_context": certificate.context, "require_starttls": True}
        if security is Security.STARTTLS
        else {"tls": certificate.context, "auth_require_tls": False}  # it does not see the TLS around it
    )
    settings = {"security": security, "authorities": str(certificate.path), "username": "hansa"}
    async with served(inbox, authenticator=inbox.authenticate, auth_required=True, **way) as port:
        async with mailer_to(port, password="right", **settings) as mailer:
            await mailer.send(mail_of())
        async with mailer_to(port, password="wrong", **settings) as mailer:
            with pytest.raises(MailFailed, match="535"):
                await mailer.send(mail_of())
    assert len(inbox.received) == 1
    assert set(inbox.logins) == {"hansa"}


async def test_a_server_with_a_certificate_of_its_own_making_is_not_trusted(inbox: Inbox, certificate: Certificate):
    async with served(inbox, tls=certificate.context) as port, mailer_to(port, security=Security.TLS) as mailer:
        with pytest.raises(MailFailed, match="SSLCert"):
            await mailer.send(mail_of())
    assert not inbox.received


async def test_a_server_that_cannot_do_tls_gets_nothing(inbox: Inbox):
    async with served(inbox) as port, mailer_to(port, security=Security.STARTTLS) as mailer:
        with pytest.raises(MailFailed, match="STARTTLS"):
            await mailer.send(mail_of())
    assert not inbox.received


def test_a_password_is_never_sent_in_the_clear():
    with pytest.raises(ValueError, match="TLS"):
        SmtpSettings(host="x", port=25, sender=SENDER, security=Security.NONE, username="hansa", password="right")
