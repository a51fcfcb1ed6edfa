"""How the tables of products came to be, step by step."""
