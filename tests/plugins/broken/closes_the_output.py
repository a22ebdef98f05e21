"""Broken at import: it closes the standard output, and raises."""

import sys

sys.stdout.close()
sys.stderr.close()
raise RuntimeError("nothing more to say")
