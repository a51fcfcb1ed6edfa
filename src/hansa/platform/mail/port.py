"""What a mail is, who sends it, and how sending may fail."""

from typing import Annotated, Protocol

import msgspec

from hansa.kernel.errors import BusinessError, Fault, Kind

MessageKey = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail to one person. The same `message_key` is always the same mail, however often it is sent."""

    to: str
    subject: str
    text: str
    html: str | None = None
    message_key: MessageKey
    locale: str = "en"


class MailInvalid(BusinessError, code="mail.invalid", kind=Kind.INVALID):
    """The mail cannot be written: an address or a header is not one. Sending it again will not help."""

    part: str


class MailRefused(BusinessError, code="mail.refused", kind=Kind.UNPROCESSABLE):
    """The mail server refused the mail for good. Sending it again will not help."""

    reply: int


class MailFailed(Fault):
    """The mail may or may not be on its way: send it again with the same key, later."""


class Mailer(Protocol):
    """Sends mails."""

    async def send(self, mail: Mail) -> None:
        """Hand the mail over durably. Raises MailInvalid or MailRefused for good, MailFailed for now."""
        ...
