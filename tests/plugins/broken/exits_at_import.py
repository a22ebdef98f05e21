"""Broken at import: it ends the program."""

import sys

sys.exit(7)
