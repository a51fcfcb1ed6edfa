"""Who buys and who works here: people, accounts, roles, sessions."""
