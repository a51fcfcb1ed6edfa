"""How many pieces there are and where: stock, reservations and the ledger of movements."""
