"""A room for content-hashed media; nothing is here yet."""
