"""A room for recommendations; nothing is kept here yet."""
