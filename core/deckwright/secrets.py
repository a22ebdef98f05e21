"""Keeping secrets out of messages, logs and reports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
_SECRET_KEY = re.compile(
    r"keys?$|secret|token|passw|passphrase|pwd$|credential|auth(?!ors?$)|bearer|cookie", re.IGNORECASE
)
# In any URL: https://name:password@host/?api_key=...
_IN_URLS = re.compile(
    r"(?<=://)[^/@\s]+:[^/@\s]+(?=@)|(?<=[?&])((?:\w*key|token|secret)=)[^&\s]+", re.IGNORECASE
)
# Shorter values occur in ordinary text by chance; masking them would make messages unreadable.
_SHORTEST = 4


class FromEnvironment(str):
    """Text with values of environment variables in it, which count as secrets everywhere.

    Attributes:
        values: Those values.
    """

    values: tuple[str, ...] = ()


def is_secret_key(key: str) -> bool:
    """Return whether a setting of this name holds a secret, judged by common names."""
    return bool(_SECRET_KEY.search(key))


def secret_values(settings: object) -> Iterator[str]:
    """Yield every value in nested settings that is from the environment, or under the name of a secret."""
    if isinstance(settings, FromEnvironment):
        yield from settings.values
    elif isinstance(settings, Mapping):
        for key, value in settings.items():
            if is_secret_key(str(key)):
                yield from texts_in(value)
            else:
                yield from secret_values(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from secret_values(value)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every one of `secrets` replaced by a mask, the longest first."""
    forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return _IN_URLS.sub(lambda found: f"{found[1] or ''}{MASK}", text)


def masked(settings: Any) -> Any:
    """Return nested settings with a mask for every value under the name of a secret."""
    if isinstance(settings, str):
        return redact(settings, ())
    if isinstance(settings, Mapping):
        return {key: MASK if is_secret_key(str(key)) else masked(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [masked(value) for value in settings]
    return settings


def texts_in(value: object) -> Iterator[str]:
    """Yield every text in nested values, and every whole number as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and as Python, JSON and URLs write it."""
    yield secret
    if not (secret.isascii() and secret.isalnum()):
        yield repr(secret)[1:-1]
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]
        yield quote(secret, errors="replace")
        yield quote(secret, safe="", errors="replace")
        yield quote_plus(secret, errors="replace")
