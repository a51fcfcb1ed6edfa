"""How the tables of notifications came to be, step by step."""
