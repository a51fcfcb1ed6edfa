"""The demo shop: 57 second-hand pieces of clothing with their photos, in English and Chinese, in three currencies.

`catalogue.jsonl` is an ordinary JSON Lines file (docs/import.md): it may be changed, or imported into another shop.
`photos` holds the pictures it names, in all their forms, so that a first start has nothing to compute.
"""

from pathlib import Path

from hansa.demo.photographs import PHOTOS as PHOTOS
from hansa.demo.photographs import contents
from hansa.imports import Summary, import_products
from hansa.platform.files.pictures import Pictures
from hansa.platform.files.port import Files
from hansa.services.inventory.contract import Inventory
from hansa.services.products.contract import Products

CATALOGUE = Path(__file__).with_name("catalogue.jsonl")
NAME = "Hansa Vintage"
TEXTS = Path(__file__).with_name("texts")
"""What the demo shop's pages say in its own words."""
ACTOR = "demo"


async def load(*, products: Products, inventory: Inventory, files: Files) -> Summary:
    """Put the demo's pictures, products and stock into the shop; what is there already is not touched."""
    await Pictures(files=files).put_ready(contents=contents())
    return await import_products(
        file=CATALOGUE, products=products, inventory=inventory, actor=ACTOR, show_progress=False
    )
