"""Broken at import: it waits for what never comes."""

import threading

threading.Event().wait()
