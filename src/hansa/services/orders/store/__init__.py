"""Every SQL statement of orders: the orders themselves, what is claimed once, refunds, and lists."""
