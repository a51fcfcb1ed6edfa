"""Following through RabbitMQ: notices on `amq.topic`, where its plugins for MQTT and STOMP find them, and passes that
the plugin `rabbitmq_auth_backend_oauth2` checks.

A pass names the queues of one device and the topic of one thing, whole: no wildcard in it can be widened. Both
plugins let a client choose the name of its queue (MQTT: by the client id), so each pass has names of its own, of 80
random bits. docs/following.md says what RabbitMQ must be told.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

import msgspec
import structlog
from aio_pika import DeliveryMode, Message
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids, order_number
from hansa.platform.messaging.cloudevents import JSON, SPECVERSION
from hansa.platform.messaging.following import PASS_LIVES, MqttDoor, Notice, Pass, StompDoor
from hansa.platform.messaging.rabbitmq.address import Address, address_of
from hansa.platform.messaging.rabbitmq.connecting import hush
from hansa.platform.messaging.rabbitmq.messages import Outgoing
from hansa.platform.messaging.rabbitmq.publishing import Publisher
from hansa.platform.messaging.rabbitmq.topology import Topology
from hansa.platform.security.sealing import derived_key

EXCHANGE = "amq.topic"
"""The plugins' own, as they come: MQTT knows no other one."""
RESOURCE_SERVER = "hansa"
"""RabbitMQ takes no other tokens, and of a token no other scopes, than those for whom it is configured."""
ALGORITHM = "ES256"
CURVE = SECP256R1()
STRUCTURED = "application/cloudevents+json"
LOGIN = "follow"
"""Any user name will do: whose token it is says the token."""
PURPOSE = "following.pass"

log = structlog.get_logger()


class FollowKey:
    """The shop's key for passes, made of its master key, so that every process has the same one.

    RabbitMQ is given the public half only: who reads its configuration can check passes and make none.
    """

    def __init__(self, *, master: bytes) -> None:
        # 64 bytes modulo a number of 32 favour none of them (FIPS 186-5, A.2.1).
        wide = b"".join(derived_key(master=master, purpose=f"{PURPOSE} {part}") for part in (1, 2))
        private = derive_private_key(int.from_bytes(wide) % (CURVE.group_order - 1) + 1, CURVE)
        public = private.public_key()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.name = f"hansa-{sha256(der).hexdigest()[:16]}"
        """What RabbitMQ knows it by; another key has another name, so that both can be there for a while."""
        self._key = ECKey.import_key(private)

    def sign(self, claims: dict[str, object]) -> str:
        """A JSON Web Token (RFC 7519)."""
        return jwt.encode({"alg": ALGORITHM, "kid": self.name, "typ": "JWT"}, claims, self._key, algorithms=[ALGORITHM])

    def settings(self, file: str) -> list[str]:
        """Lines of rabbitmq.conf, where the file holds the public half: tokens of this key are taken, and no others.

        The broker's own users come first, so that no password of theirs is taken for a token.
        """
        return [
            "auth_backends.1 = rabbit_auth_backend_internal",
            "auth_backends.2 = rabbit_auth_backend_oauth2",
            f"auth_oauth2.resource_server_id = {RESOURCE_SERVER}",
            f"auth_oauth2.signing_keys.{self.name} = {file}",
            f"auth_oauth2.algorithms.1 = {ALGORITHM}",
        ]


class RabbitFollowing:
    """See the port. Raises ValueError for an address that is none."""

    def __init__(self, *, bus_url: str, mqtt_url: str, stomp_url: str, key: FollowKey, clock: Clock, ids: Ids) -> None:
        hush()
        self._address = address_of(bus_url)
        self._mqtt_url = mqtt_url
        self._stomp_url = stomp_url
        self._key = key
        self._clock = clock
        self._ids = ids
        # On a connection of its own, since nothing that is said here may stand before an event; it declares nothing.
        self._publisher = Publisher(address=self._address, topology=Topology(address=self._address, delays_s=()))
        self._is_in_trouble = False

    def admit(self, *, kind: str, id: str) -> Pass:
        now = self._clock.now()
        device = f"follow-{id}-{self._ids.secret()}"
        topic = self._topic(kind, id)
        vhost = vhost_of(self._address)
        expires_at = (now + PASS_LIVES).replace(microsecond=0)
        mqtt = MqttDoor(
            url=self._mqtt_url,
            # Its own default is `/`, which this says too, in case that has been changed.
            username=f"{vhost}:{LOGIN}",
            client_id=device,
            topic=f"{topic.replace('.', '/')}/+",
        )
        stomp = StompDoor(
            url=self._stomp_url, host=vhost, login=LOGIN, destination=f"/exchange/{EXCHANGE}/{topic}.*", queue=device
        )
        queues = [*(mqtt_queues(device) if self._mqtt_url else ()), *([stomp.queue] if self._stomp_url else ())]
        claims = claims_of(
            subject=topic, scopes=scopes(vhost=vhost, queues=queues, topic=topic), now=now, expires_at=expires_at
        )
        return Pass(
            token=self._key.sign(claims),
            expires_at=expires_at,
            mqtt=mqtt if self._mqtt_url else None,
            stomp=stomp if self._stomp_url else None,
        )

    async def tell(self, notices: Sequence[Notice]) -> None:
        try:
            failed = await self._publisher.publish([self._outgoing(notice) for notice in notices])
            reason = failed[0].reason if failed else ""
        except Exception as error:  # whatever it is, those who are not told will ask
            reason = type(error).__name__
        if reason and not self._is_in_trouble:
            log.warning("those who follow are not told", broker=self._address.shown, reason=reason)
        self._is_in_trouble = bool(reason)

    async def close(self) -> None:
        await self._publisher.close()

    def _topic(self, kind: str, id: str) -> str:
        return self._address.named(f"{kind}.{id}")

    def _outgoing(self, notice: Notice) -> Outgoing:
        envelope = notice.envelope
        message = Message(
            body_of(notice), content_type=STRUCTURED, message_id=envelope.id, delivery_mode=DeliveryMode.NOT_PERSISTENT
        )
        topic = f"{self._topic(notice.kind, envelope.aggregate)}.{notice.what}"
        return Outgoing(exchange=EXCHANGE, routing_key=topic, message=message, is_mandatory=False)


def vhost_of(address: Address) -> str:
    """As the client library understands the URL."""
    return address.url.path.removeprefix("/") or "/"


def mqtt_queues(client_id: str) -> tuple[str, str]:
    """What the plugin calls the queues of a client: one for what may get lost, one for what is acknowledged."""
    return f"mqtt-subscription-{client_id}qos0", f"mqtt-subscription-{client_id}qos1"


def scopes(*, vhost: str, queues: Sequence[str], topic: str) -> list[str]:
    """What a pass opens: to make, fill and read its own queues, and to read one topic, `topic` and one word more.

    A scope is `permission:virtual host/name/routing key`, in which `*` stands for anything, and percent encoding for
    what means something else there. Read on an exchange is needed to bind a queue to it; the routing key is checked
    as it is in the binding, so `order.17.*` holds whatever is asked for below that prefix.
    """
    place = quote(vhost, safe="")
    own = [
        f"{permission}:{place}/{quote(queue, safe='')}"
        for queue in queues
        for permission in ("configure", "write", "read")
    ]
    return [*own, f"read:{place}/{quote(EXCHANGE, safe='')}/{quote(topic, safe='')}.*"]


def claims_of(*, subject: str, scopes: Sequence[str], now: datetime, expires_at: datetime) -> dict[str, object]:
    """The payload of a token, as the plugin wants it."""
    return {
        "aud": [RESOURCE_SERVER],
        "sub": subject,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "scope": [f"{RESOURCE_SERVER}.{scope}" for scope in scopes],
    }


def body_of(notice: Notice) -> bytes:
    """A CloudEvent in structured mode; of the envelope only what is nobody's secret, and of the body nothing."""
    envelope = notice.envelope
    return msgspec.json.encode(
        {
            "specversion": SPECVERSION,
            "id": envelope.id,
            "source": envelope.source,
            "type": envelope.type,
            "time": envelope.time,
            "subject": envelope.aggregate,
            "aggregateversion": str(envelope.version),
            "datacontenttype": JSON,
            "data": {"number": order_number(envelope.aggregate), "what": notice.what},
        }
    )
