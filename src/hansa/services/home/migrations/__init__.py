"""How the tables of home came to be, step by step."""
