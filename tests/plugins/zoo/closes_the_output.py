"""Broken at import: it closes what others print to, and raises."""

import sys

sys.stdout.close()
sys.stderr.close()
raise RuntimeError("nothing more to say")
