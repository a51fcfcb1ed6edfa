"""How the tables of search came to be, step by step."""
