"""What is true of orders: pure decisions about drafts, states, and answers."""
