"""A room for risk control; nothing is kept here yet."""
