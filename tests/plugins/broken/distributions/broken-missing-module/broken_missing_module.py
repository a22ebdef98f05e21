"""Broken: its entry point names another module, which is not there."""
