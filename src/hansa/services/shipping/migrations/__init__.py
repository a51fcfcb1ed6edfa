"""How the tables of shipping came to be, step by step."""
