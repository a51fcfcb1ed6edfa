"""A room for customer service; nothing is kept here yet."""
