"""Logs without personal data, and metrics that cost microseconds."""
