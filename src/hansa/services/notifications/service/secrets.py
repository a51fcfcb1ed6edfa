"""What requests to webhooks are signed with: made here, and sealed wherever it rests."""

from datetime import datetime

from hansa.kernel.ids import Ids
from hansa.platform.security.sealing import Keyring
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.store.webhooks import Hook

LABEL = "notifications.webhooks"


class Secrets:
    """Seals each secret for its webhook: moved to another one it does not open."""

    def __init__(self, *, keyring: Keyring, ids: Ids) -> None:
        self._box = keyring.own_box(label=LABEL)
        self._ids = ids

    def make(self, *, webhook_id: str) -> str:
        """A new secret, sealed."""
        return self._box.seal(rules.secret_of(self._ids.token()), context=_context(webhook_id))

    def show(self, sealed: str, *, webhook_id: str) -> str:
        """As its receiver is given it."""
        return self._box.open(sealed, str, context=_context(webhook_id))

    def in_use(self, hook: Hook, *, at: datetime) -> list[bytes]:
        """The bytes to sign with: the present secret, and the one before as long as it counts."""
        sealed = [hook.secret]
        if hook.old_secret and hook.old_until is not None and at < hook.old_until:
            sealed.append(hook.old_secret)
        return [rules.secret_bytes(self.show(each, webhook_id=hook.id)) for each in sealed]


def _context(webhook_id: str) -> str:
    return f"{LABEL}.{webhook_id}"
