"""A room for search; nothing is kept here yet."""
