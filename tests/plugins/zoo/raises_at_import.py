"""Broken at import: it prints, and raises."""

print("zoo: importing")

raise RuntimeError("no licence was found")
