"""Passwords, sealed personal data, signed tokens, the audit trail, and a brake on guessing."""
