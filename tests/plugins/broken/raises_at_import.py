"""Broken at import: it prints, and raises."""

print("broken: importing")

raise RuntimeError("no licence was found")
