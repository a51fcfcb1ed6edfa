"""What people are told: order confirmations by mail."""
