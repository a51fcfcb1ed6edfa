"""Every statement of users, by what it is about."""
