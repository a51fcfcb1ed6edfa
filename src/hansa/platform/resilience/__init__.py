"""A room for circuit breakers, bulkheads, rate limits and load shedding; nothing is here yet."""
