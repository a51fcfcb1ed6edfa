"""What is true of shipping: where goods go, what that costs, and how people there write where they live."""

from hansa.services.shipping.rules.addresses import AddressBook, AddressRule
from hansa.services.shipping.rules.rates import Rate, Tariff
from hansa.services.shipping.rules.rows import EVERYWHERE, read_rows

__all__ = ["EVERYWHERE", "AddressBook", "AddressRule", "Rate", "Tariff", "read_rows"]
