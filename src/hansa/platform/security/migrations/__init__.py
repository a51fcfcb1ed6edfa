"""How the tables of keyring came to be, step by step."""
