"""The demo shop's catalogue: 40 second-hand clothes in ten categories, in English and Chinese, in three currencies.

`catalogue.jsonl` is an ordinary JSON Lines file (docs/import.md): it may be changed, or imported into another shop.
"""

from pathlib import Path

from hansa.imports import Summary, import_products
from hansa.services.inventory.contract import Inventory
from hansa.services.products.contract import Products

CATALOGUE = Path(__file__).with_name("catalogue.jsonl")
ACTOR = "demo"


async def load(*, products: Products, inventory: Inventory) -> Summary:
    """Put the demo's products and their stock into the shop; what is there already is not touched."""
    return await import_products(
        file=CATALOGUE, products=products, inventory=inventory, actor=ACTOR, show_progress=False
    )
