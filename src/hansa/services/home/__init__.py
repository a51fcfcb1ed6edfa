"""A room for the home page's read model; nothing is kept here yet."""
