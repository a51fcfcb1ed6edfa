"""Passwords, sealed personal data, webhook signatures, the audit trail, and a brake on guessing."""
