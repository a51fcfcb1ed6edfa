"""Flash sales: so many pieces at a special price for a while, and who is admitted to them."""
