"""Keeping trouble small. `single_flight`: whoever asks for what is being done already shares it.

A room for circuit breakers, bulkheads, rate limits and load shedding, too; those are not here yet.
"""
