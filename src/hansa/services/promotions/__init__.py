"""A room for promotions and flash sales; nothing is kept here yet."""
