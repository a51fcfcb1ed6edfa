"""Periodic and resumable work."""
