"""A room for load balancing between nodes of a service; nothing is here yet."""
