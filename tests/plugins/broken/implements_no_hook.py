"""Broken at registration: there is no hook in it."""

BELLS = ("big", "small")
