"""The cache that processes share, in Memcached."""
