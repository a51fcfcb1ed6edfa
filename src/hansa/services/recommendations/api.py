"""The beacon: what pages tell of what their visitor did, in the background and without waiting for an answer."""

from collections.abc import Mapping, Sequence

import msgspec

from hansa.platform.http.errors import BodyInvalid, NotJson
from hansa.platform.http.request import invalid
from hansa.platform.http.route import ANYONE, Api, Call, Route
from hansa.services.recommendations.contract import Behaviours, Recommendations, Visitor

LARGEST_BEACON = 16 * 1024


class Beacon(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. Without consent there is no visitor to speak of."""

    consent: bool = False
    visitor: Visitor | None = None
    events: Behaviours = ()


_BEACON = msgspec.json.Decoder(Beacon)


def routes(recommendations: Recommendations) -> Sequence[Route]:
    api = Api("recommendations")

    @api.post(
        "/events",
        access=ANYONE,
        status=202,
        calls=Recommendations.record,
        is_raw=True,
        largest_body=LARGEST_BEACON,
    )
    async def record_events(call: Call, *, body: bytes) -> None:
        """Tell what a visitor did: `{"consent": true, "visitor": "…", "events": [{"kind": "view", "slug": "…"}]}`.

        At most 50 events, as JSON, also sent as `text/plain` by `navigator.sendBeacon`. `visitor` is a random pseudonym
        that the browser made: 16 to 64 letters, digits, `-` and `_`. An event has a `kind` (view, search, impression,
        click, add_to_cart), a `product_id`, `slug` or `sku`, or a `query`, and perhaps `position`, `page` (such as
        `category`), `locale` and `age_ms`. Without `consent`, with the header `Sec-GPC: 1` or `DNT: 1`, or sent by
        another site, the answer is the same and nothing is kept. Some of it may be lost.
        """
        beacon = _read(body, content_type=call.headers.get("content-type", ""))
        consents = beacon.consent and not _is_unwanted(call.headers)
        if consents and beacon.visitor is None:
            raise BodyInvalid(reason="Object missing required field `visitor`")
        await recommendations.record(
            key=call.key,
            consent=consents,
            visitor=beacon.visitor or _NOBODY,
            behaviours=beacon.events,
            remote=call.remote,
        )

    return api.routes


_NOBODY = "-" * 16
"""The pseudonym of all who did not consent."""


def _read(body: bytes, *, content_type: str) -> Beacon:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("", "text/plain", "application/json") and not kind.endswith("+json"):
        raise NotJson()
    try:
        return _BEACON.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyInvalid(reason=f"not valid JSON: {error}") from None
    except RecursionError:
        raise BodyInvalid(reason="nested too deeply") from None


def _is_unwanted(headers: Mapping[str, str]) -> bool:
    """Whether the browser's user wants no tracking (Global Privacy Control, Do Not Track), or another site sent it."""
    refusal = any(headers.get(name, "").strip() == "1" for name in ("sec-gpc", "dnt"))
    return refusal or headers.get("sec-fetch-site", "").strip() == "cross-site"
