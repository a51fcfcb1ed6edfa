"""What the HTTP layer itself has to refuse, before any service is asked."""

from hansa.kernel.errors import BusinessError, Kind


class NoSuchRoute(BusinessError, code="request.not_found", kind=Kind.NOT_FOUND):
    """There is nothing at this address."""


class TokenMissing(BusinessError, code="request.token_missing", kind=Kind.UNAUTHENTICATED):
    """Sign in first and send the session's token as `Authorization: Bearer …`."""


class Forbidden(BusinessError, code="request.forbidden", kind=Kind.FORBIDDEN):
    """You are signed in, but this is not for your role."""


class KeyMissing(BusinessError, code="idempotency.key_missing", kind=Kind.INVALID):
    """Send an `Idempotency-Key` header: a fresh random value for each new act, the same one to repeat it."""


class KeyInvalid(BusinessError, code="idempotency.key_invalid", kind=Kind.INVALID):
    """An Idempotency-Key has 1 to 200 visible ASCII characters."""


class VersionMissing(BusinessError, code="request.version_missing", kind=Kind.PRECONDITION_REQUIRED):
    """Send the ETag that you read as `If-Match`, so that nobody's change is overwritten."""


class VersionInvalid(BusinessError, code="request.version_invalid", kind=Kind.PRECONDITION_FAILED):
    """The `If-Match` header is not an ETag that was given out here."""


class BodyInvalid(BusinessError, code="request.invalid", kind=Kind.INVALID):
    """The request is not what this address takes; `pointer` says where, as a JSON pointer."""

    reason: str
    pointer: str = ""


class BodyTooLarge(BusinessError, code="request.too_large", kind=Kind.TOO_LARGE):
    """The body is larger than this address takes."""

    largest_bytes: int


class NotJson(BusinessError, code="request.not_json", kind=Kind.UNSUPPORTED):
    """Send the body as `Content-Type: application/json`."""


class CurrencyUnknown(BusinessError, code="request.currency_unknown", kind=Kind.INVALID):
    """The shop has no prices in this currency."""

    currencies: tuple[str, ...]


EVERYWHERE: tuple[type[BusinessError], ...] = (BodyInvalid, CurrencyUnknown)
