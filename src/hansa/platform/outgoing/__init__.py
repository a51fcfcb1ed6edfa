"""Requests to addresses that people typed in: guarded, so that nobody reaches through the shop what is behind it."""
