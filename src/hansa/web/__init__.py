"""A room for storefront, staff pages and console; nothing is here yet."""
