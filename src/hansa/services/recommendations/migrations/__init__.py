"""How the tables of recommendations came to be, step by step."""
