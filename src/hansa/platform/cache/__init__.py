"""A room for the cache port and its policies; nothing is here yet."""
