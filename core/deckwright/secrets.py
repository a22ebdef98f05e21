"""Keeping secrets out of whatever a person may read: messages, logs and reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

MASK = "***"
_SECRET_KEY = re.compile(r"(?:api_?key|secret|token|passw|credential|authorization)", re.IGNORECASE)
# Shorter values occur in ordinary text by chance; masking those would only garble messages.
_SHORTEST = 4


def is_secret_key(key: str) -> bool:
    """Say whether a setting of this name holds a secret, by the names in common use."""
    return bool(_SECRET_KEY.search(key))


def secret_values(settings: object) -> Iterator[str]:
    """Yield every value in nested settings that stands under a key that names a secret."""
    if isinstance(settings, Mapping):
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
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return text


def texts_in(value: object) -> Iterator[str]:
    """Yield every text in nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner)
