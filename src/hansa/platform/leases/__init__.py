"""A room for leases: who owns what for a while; nothing is here yet."""
