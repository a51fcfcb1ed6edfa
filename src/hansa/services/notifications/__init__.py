"""What people and programs are told: order confirmations by mail, events by webhook."""
