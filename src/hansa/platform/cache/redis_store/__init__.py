"""The cache over Redis: one server, a Sentinel's master, or a Cluster."""
