"""How goods reach people, and what that costs: addresses, methods, rates."""
