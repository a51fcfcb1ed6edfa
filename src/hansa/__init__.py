"""Hansa: an online shop that starts on a laptop and, with the same code, sells through a flash sale on a cluster."""
