"""Puts the clock of a process forward or back by the seconds in `CLOCK_SHIFT`; imported by Python as it starts.

What Python is asked for is put right; the times of files are those of the system.
"""

import datetime
import os
import time

SHIFT = float(os.environ.get("CLOCK_SHIFT", "0"))
_time, _time_ns = time.time, time.time_ns
_localtime, _gmtime, _strftime = time.localtime, time.gmtime, time.strftime

time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + int(SHIFT * 1e9)
time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
time.strftime = lambda pattern, moment=None: _strftime(pattern, moment or time.localtime())


class _Date(datetime.date):
    @classmethod
    def today(cls):
        return cls.fromtimestamp(time.time())


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)

    today = now


datetime.date, datetime.datetime = _Date, _Datetime
