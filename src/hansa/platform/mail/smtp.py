"""Mail by SMTP, in a few threads, with a deadline and a bound on how many may wait."""

import asyncio
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path

import msgspec

from hansa.kernel.clock import Clock
from hansa.platform.mail.message import message_of
from hansa.platform.mail.port import Mail, MailFailed, MailInvalid, MailRefused

SHORTEST_FAILURE_FOR_GOOD = 500
"""SMTP replies from here on mean: do not try again (RFC 5321, 4.2.1)."""
_LOGIN_REPLIES = frozenset({530, 534, 535, 538})
"""Replies about who we are, and not about the mail (RFC 4954, 6)."""


class Security(StrEnum):
    """How the connection is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the mail server is and how it knows us. `authorities` is a file of certificates to trust instead of the
    system's."""

    host: str
    port: int
    sender: str
    security: Security = Security.STARTTLS
    username: str = ""
    password: str = ""
    authorities: str = ""
    deadline_s: float = 30.0
    connections: int = 2
    waiting: int = 256

    def __post_init__(self) -> None:
        if self.username and self.security is Security.NONE:
            raise ValueError("a password is not sent over a connection without TLS")


class SmtpMailer:
    """Sends each mail over a connection of its own."""

    def __init__(self, *, settings: SmtpSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=settings.connections, thread_name_prefix="smtp")
        self._free = asyncio.Semaphore(settings.connections)
        self._waiting = 0
        self._trust = None if settings.security is Security.NONE else _trust(settings.authorities)

    async def send(self, mail: Mail) -> None:
        message = message_of(mail, sender=self._settings.sender, at=self._clock.now())
        if self._waiting >= self._settings.waiting:
            raise MailFailed("too many mails are waiting for the mail server")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await self._free.acquire()
                await self._deliver(_Delivery(self._settings, self._trust, message))
        except TimeoutError as error:
            raise MailFailed("the mail server did not answer in time") from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _deliver(self, delivery: "_Delivery") -> None:
        running = asyncio.get_running_loop().run_in_executor(self._pool, delivery.run)
        running.add_done_callback(self._done)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            delivery.abort()  # so that the thread comes free soon, and not when the server feels like it
            raise

    def _done(self, running: "asyncio.Future[None]") -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()  # seen: if the sender stopped waiting, nobody else will look at it


class _Delivery:
    """One mail on its way, in a thread."""

    def __init__(self, settings: SmtpSettings, trust: ssl.SSLContext | None, message: EmailMessage) -> None:
        self._settings = settings
        self._trust = trust
        self._message = message
        self._connection: smtplib.SMTP | None = None
        self._is_aborted = False

    def run(self) -> None:
        if self._is_aborted:
            return
        try:
            self._run()
        except smtplib.SMTPRecipientsRefused as error:
            raise _judged(max(reply for reply, _ in error.recipients.values())) from None
        except smtplib.SMTPDataError as error:
            raise _judged(error.smtp_code) from None
        except smtplib.SMTPResponseException as error:
            # It greets, or lets us in, or takes our sender no more: that is about us, and can be mended.
            raise MailFailed(f"the mail server answered {error.smtp_code}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise self._unsupported(error) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailFailed(f"the mail server could not be reached: {type(error).__name__}") from error

    def abort(self) -> None:
        """Called from the loop: cut the connection under the thread."""
        self._is_aborted = True
        connected = self._connection.sock if self._connection is not None else None
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        connection = self._connection = self._connected()
        try:
            if self._is_aborted:
                return
            if self._settings.security is Security.STARTTLS:
                connection.starttls(context=self._trust)
            if self._settings.username:
                connection.login(self._settings.username, self._settings.password)
            connection.send_message(self._message)
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()  # the mail is the server's by now, whatever becomes of the goodbye
        finally:
            connection.close()

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        # Our name is given, as the library would ask the name service for it, which may take its time.
        own_name = self._message["From"].addresses[0].domain.encode("idna").decode()
        if settings.security is Security.TLS:
            return smtplib.SMTP_SSL(
                settings.host, settings.port, own_name, timeout=settings.deadline_s, context=self._trust
            )
        return smtplib.SMTP(settings.host, settings.port, own_name, timeout=settings.deadline_s)

    def _unsupported(self, error: smtplib.SMTPNotSupportedError) -> Exception:
        """A server without STARTTLS or login is set up wrongly; one without SMTPUTF8 never takes this address."""
        is_international = not str(self._message["To"]).isascii()
        return MailInvalid(part="to") if is_international else MailFailed(str(error))


def _judged(reply: int) -> Exception:
    """What a reply means. Its text is not passed on: servers quote the address in it."""
    if reply >= SHORTEST_FAILURE_FOR_GOOD and reply not in _LOGIN_REPLIES:
        return MailRefused(reply=reply)
    return MailFailed(f"the mail server answered {reply}")


def _trust(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(Path(authorities)) if authorities else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
