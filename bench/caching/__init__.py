"""The cache beside the bare clients of the same servers: a process of its own, see the part."""
