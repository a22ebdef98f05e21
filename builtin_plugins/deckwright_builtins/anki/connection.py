"""Calls a running Anki through its add-on AnkiConnect: one action, or many in one request.

Measured with the releases 23.10.29 and 25.11.9 of the add-on, in Anki 25.9 and 26.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from deckwright import AuthenticationError, ProviderError, TransientError
from deckwright.secrets import redact
from deckwright.toolkit.http import Response

VERSION = 6  # of the protocol; older ones send results without an envelope
ADD_ON = "2055492159"
# Anki's time for a request grows by the square of its size: 0.2 s for 1 MB, 7 s for 4 MB. Every request also waits
# until Anki looks at the network, every 25 ms. Requests of about this many bytes are fastest.
BEST_BODY_BYTES = 250_000
MAX_CALLS = 50
_NO_COLLECTION = "collection is not available"

Call = tuple[str, dict[str, Any]]


class AnkiError(ProviderError):
    """Anki refused an `action`; `reason` is its own message."""

    def __init__(self, action: str, reason: str, *, hint: str | None = None) -> None:
        # Some messages are written for Anki's own windows.
        self.reason = " ".join(re.sub(r"<br ?/?>", " ", re.sub(r"[\u2068\u2069]", "", reason)).split())
        self.action = action
        super().__init__(f"Anki refuses {action}: {self.reason}", hint=hint)

    @property
    def is_early(self) -> bool:
        """Whether Anki may accept it after it has opened a profile."""
        return _NO_COLLECTION in self.reason


class AnkiConnect:
    """Calls actions of AnkiConnect, one request at a time: Anki loses requests that come together.

    `post` sends the body of a request and returns the response. `key` must be None if the add-on has no key.
    """

    def __init__(self, post: Callable[[Any, bool], Response], key: str | None) -> None:
        self._post = post
        self._key = key

    def call(self, action: str, *, repeatable: bool = True, **params: Any) -> Any:
        """Call one action and return its result; `repeatable` states whether a second call does no harm.

        Raises:
            AnkiError: Anki refuses it.
            AuthenticationError: The key is missing or wrong.
            TransientError: Anki cannot be reached, or its response was lost.
        """
        response = self._post(self._request(action, params), repeatable)
        try:
            answer = response.json()
        except TransientError:  # it is not JSON
            answer = None
        return self._result(action, answer)

    def calls(self, calls: Iterable[Call]) -> list[Any]:
        """Call several actions in a few requests; return each result, or the `AnkiError` in its place.

        Raises:
            TransientError: Anki cannot be reached. Earlier actions are not undone.
        """
        results: list[Any] = []
        for batch in self._batches(calls):
            answers = self.call("multi", actions=[self._request(*call) for call in batch])
            if not isinstance(answers, list) or len(answers) != len(batch):
                raise ProviderError("Anki did not answer every call.")
            for (action, _), answer in zip(batch, answers, strict=True):
                try:
                    results.append(self._result(action, answer))
                except AnkiError as error:
                    results.append(error)
        return results

    def supported(self, actions: Sequence[str]) -> set[str]:
        """Return which of these actions this release of the add-on has."""
        try:
            answer = self.call("apiReflect", scopes=["actions"], actions=list(actions))
            return set(answer["actions"])
        except (AnkiError, KeyError, TypeError):
            return set()

    def _request(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        # Each of several actions needs the version and the key, too.
        request = {"action": action, "version": VERSION, "params": params}
        return request if self._key is None else {**request, "key": self._key}

    def _batches(self, calls: Iterable[Call]) -> Iterator[list[Call]]:
        batch: list[Call] = []
        size = 0
        for call in calls:
            length = len(json.dumps(call[1]))
            if batch and (size + length > BEST_BODY_BYTES or len(batch) == MAX_CALLS):
                yield batch
                batch, size = [], 0
            batch.append(call)
            size += length
        if batch:
            yield batch

    def _result(self, action: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or "error" not in answer or "result" not in answer:
            raise ProviderError("The program at this address is not AnkiConnect.", hint="Check url.")
        if answer["error"] is None:
            return answer["result"]
        reason = redact(str(answer["error"]), [self._key] if self._key else [])
        if "api key" in reason:
            raise AuthenticationError(
                f"AnkiConnect refuses the key ({reason}).",
                hint="Set api_key to the add-on's setting apiKey, or remove it if that is null.",
            )
        hint = None
        if _NO_COLLECTION in reason:
            hint = "Open a profile in Anki, and close all windows in front of its main window."
        elif reason == "unsupported action":
            hint = "Update the add-on AnkiConnect in Anki, under Tools, Add-ons."
        raise AnkiError(action, reason, hint=hint)


def unreachable(url: str, error: TransientError) -> TransientError:
    """Return the error for an Anki that does not answer."""
    if error.reply_lost:
        return error
    return TransientError(
        f"Anki cannot be reached at {url}.",
        hint=f"Start Anki, with the add-on AnkiConnect ({ADD_ON}) installed and a profile open.",
    )
