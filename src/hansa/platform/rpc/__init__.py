"""A contract called locally or remotely, under the same rules."""
