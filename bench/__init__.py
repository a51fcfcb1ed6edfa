"""Measures Hansa beside what it stands on: nginx and PostgreSQL, on the same machine in the same run."""
