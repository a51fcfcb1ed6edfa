"""What mails and webhooks say, and how patiently they are sent."""
