"""Every statement of notifications: mails, webhooks, and the log of what was delivered to them."""
