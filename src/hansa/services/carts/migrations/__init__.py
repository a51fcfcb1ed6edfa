"""How the tables of carts came to be, step by step."""
