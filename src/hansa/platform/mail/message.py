"""A mail as a message of RFC 5322: the same mail always makes the same bytes, apart from its date."""

import binascii
import hashlib
import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from functools import lru_cache

from hansa.platform.mail.port import Mail, MailInvalid

LONGEST_HEADER = 998
"""Characters of a header value; RFC 5322, 2.1.1."""
LONGEST_ADDRESS = 254
"""RFC 5321, 4.5.3.1.3, without the angle brackets."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]*[A-Za-z0-9])+")
LONGEST_PLAIN_SUBJECT = 60
_PLAIN_SUBJECT = re.compile(rf"[A-Za-z0-9]([ -~]{{0,{LONGEST_PLAIN_SUBJECT - 2}}}[!-~])?")
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8}){0,8}")


def bytes_of(mail: Mail, *, sender: str, at: datetime) -> bytes:
    """The message as it travels. Raises MailInvalid, as `message_of` does.

    What nearly every mail is, a text with a plain address and subject, is written line by line: the library takes
    half a millisecond of work for it. All else is left to the library.
    """
    is_plain = (
        mail.html is None
        and "=?" not in mail.subject
        and len(mail.to) <= LONGEST_PLAIN_SUBJECT
        and _PLAIN_ADDRESS.fullmatch(mail.to)
        and _PLAIN_SUBJECT.fullmatch(mail.subject)
    )
    if not is_plain:
        return message_of(mail, sender=sender, at=at).as_bytes()
    sender_line, domain = _sender_of(sender)
    text = _text(mail.text, part="text").replace("\r\n", "\n").replace("\r", "\n")
    content = binascii.b2a_qp(text.removesuffix("\n").encode() + b"\n", istext=True).replace(b"\n", b"\r\n")
    head = (
        f"{sender_line}\r\nTo: {mail.to}\r\nSubject: {mail.subject}\r\nDate: {format_datetime(at)}\r\n"
        f"Message-ID: <{_digest(mail.message_key)}@{domain}>\r\nAuto-Submitted: auto-generated\r\n"
        'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n'
        f"MIME-Version: 1.0\r\nContent-Language: {_language(mail.locale)}\r\n\r\n"
    )
    return head.encode() + content


@lru_cache(maxsize=16)
def _sender_of(sender: str) -> tuple[str, str]:
    """The header that says whom a mail is from, folded and encoded, and the domain of its ids."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _checked(sender, part="sender")
    return message.as_bytes().decode().partition("\r\n\r\n")[0], _domain_of(message)


def message_of(mail: Mail, *, sender: str, at: datetime) -> EmailMessage:
    """The message to send. Raises MailInvalid, so that no text of a visitor becomes a header of its own.

    `sender` is an address, or a name and an address: `Hansa <shop@example.org>`.
    """
    recipient = _address(mail.to, part="to")
    message = EmailMessage(policy=SMTP if recipient.username.isascii() else SMTPUTF8)
    message["From"] = _checked(sender, part="sender")
    message["To"] = recipient
    message["Subject"] = _checked(mail.subject, part="subject")
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{_digest(mail.message_key)}@{_domain_of(message)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply is wanted
    message.set_content(_text(mail.text, part="text"))
    if mail.html is not None:
        message.add_alternative(_text(mail.html, part="html"), subtype="html")
        # Else the library draws one at random.
        message.set_boundary(f"=_{_digest('boundary ' + mail.message_key)}")
    message["Content-Language"] = _language(mail.locale)  # last, as setting contents clears such headers
    return message


def _address(text: str, *, part: str) -> Address:
    """One address and nothing else. Its domain is put in ASCII, which every server understands."""
    local, _, domain = text.rpartition("@")
    if len(text) > LONGEST_ADDRESS or not text.isprintable():
        raise MailInvalid(part=part)
    try:
        ascii_domain = domain.encode("idna").decode()
        # The parser knows no letters beyond ASCII before the @: others stand in for them.
        parsed = Address(addr_spec=f"{_BEYOND_ASCII.sub('x', local)}@{ascii_domain}")
        if not parsed.username or not parsed.domain:
            raise MailInvalid(part=part)
        return parsed if local.isascii() else Address(username=local, domain=ascii_domain)
    except Exception as error:  # the parser fails in more ways than it declares
        raise MailInvalid(part=part) from error


def _domain_of(message: EmailMessage) -> str:
    """The sender's domain, in ASCII. The library parses the header; a sender that is not one address has none."""
    addresses: tuple[Address, ...] = message["From"].addresses
    if len(addresses) != 1 or not addresses[0].username or not addresses[0].domain:
        raise MailInvalid(part="sender")
    return addresses[0].domain.encode("idna").decode()


def _checked(value: str, *, part: str) -> str:
    if len(value) > LONGEST_HEADER or _CONTROL.search(value) or not _is_utf8(value):
        raise MailInvalid(part=part)
    return value


def _language(locale: str) -> str:
    language = locale.replace("_", "-")
    if not _LANGUAGE.fullmatch(language):
        raise MailInvalid(part="locale")
    return language


def _text(value: str, *, part: str) -> str:
    if not _is_utf8(value):
        raise MailInvalid(part=part)
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
