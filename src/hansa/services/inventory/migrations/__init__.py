"""How the tables of inventory came to be, step by step."""
