"""A room for physical stores and their tills; nothing is kept here yet."""
