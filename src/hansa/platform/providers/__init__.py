"""Ports to outside parties that services depend on, and their adapters."""
