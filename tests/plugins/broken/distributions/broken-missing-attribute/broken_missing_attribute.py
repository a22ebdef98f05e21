"""Broken: its entry point names something that this module does not have."""
