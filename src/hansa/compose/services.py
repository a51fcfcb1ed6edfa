"""Every service there is."""

from hansa.platform.manifest import Manifest
from hansa.services.carts.manifest import MANIFEST as CARTS
from hansa.services.home.manifest import MANIFEST as HOME
from hansa.services.inventory.manifest import MANIFEST as INVENTORY
from hansa.services.notifications.manifest import MANIFEST as NOTIFICATIONS
from hansa.services.orders.manifest import MANIFEST as ORDERS
from hansa.services.payments.manifest import MANIFEST as PAYMENTS
from hansa.services.products.manifest import MANIFEST as PRODUCTS
from hansa.services.promotions.manifest import MANIFEST as PROMOTIONS
from hansa.services.recommendations.manifest import MANIFEST as RECOMMENDATIONS
from hansa.services.search.manifest import MANIFEST as SEARCH
from hansa.services.shipping.manifest import MANIFEST as SHIPPING
from hansa.services.users.manifest import MANIFEST as USERS

MANIFESTS: tuple[Manifest, ...] = (
    PRODUCTS,
    USERS,
    INVENTORY,
    SHIPPING,
    PAYMENTS,
    PROMOTIONS,
    CARTS,
    ORDERS,
    NOTIFICATIONS,
    HOME,
    RECOMMENDATIONS,
    SEARCH,
)
"""In the order of dependence: whoever is asked stands before who asks."""
