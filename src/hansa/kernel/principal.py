"""Who is asking, and what for: a person's roles, and the seller and locations they are limited to."""

import msgspec

CUSTOMER = "customer"
STAFF = "staff"


class Principal(msgspec.Struct, frozen=True):
    """A signed-in person. Empty `seller` and `locations` mean that the roles are not limited to any."""

    user_id: str
    roles: tuple[str, ...] = (CUSTOMER,)
    seller: str = ""
    locations: tuple[str, ...] = ()

    def has(self, role: str) -> bool:
        return role in self.roles
