"""Broken at import: it never returns."""

import threading

threading.Event().wait()
