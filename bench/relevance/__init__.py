"""How good the first ten results are, on queries that were judged for it."""
