"""Broken: its METADATA is taken away once it is installed, as by an update that was cut off."""
