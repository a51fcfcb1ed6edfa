"""Machinery that knows no service."""
