"""Keeping trouble small. `single_flight`: whoever asks for what is being done already shares it. `breaker`: what has
failed several times in a row is left alone for a while. `gate`: so many at once, and the others in order of arrival.

A room for rate limits and load shedding, too; those are not here yet.
"""
