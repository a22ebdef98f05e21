"""A running Anki, by its add-on AnkiConnect: one call, many calls in one request, and what its errors mean.

What the add-on does was measured with its releases 23.10.29 and 25.11.9 in Anki 25.9 and 26.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from deckwright import AuthenticationError, ProviderError, TransientError
from deckwright.secrets import redact
from deckwright.toolkit.http import Response

VERSION = 6  # of the protocol; below it, answers have no envelope
ADD_ON = "2055492159"
# A large body takes Anki time by the square of its size: 0.2 s for 1 MB, 7 s for 4 MB. And each request waits for
# Anki's next look at the network, 25 ms apart. Together, they are fastest with about this many bytes in one.
BEST_BODY = 250_000
MOST_CALLS = 50
_NO_COLLECTION = "collection is not available"

Call = tuple[str, dict[str, Any]]


class AnkiError(ProviderError):
    """Anki refused an action.

    Attributes:
        action: Which.
        said: What it said.
    """

    def __init__(self, action: str, said: str, *, hint: str | None = None) -> None:
        # Some messages are for Anki's own windows.
        self.said = " ".join(re.sub(r"<br ?/?>", " ", re.sub(r"[\u2068\u2069]", "", said)).split())
        self.action = action
        super().__init__(f"Anki refuses {action}: {self.said}", hint=hint)

    @property
    def is_early(self) -> bool:
        """Whether Anki may take it once it has opened a profile."""
        return _NO_COLLECTION in self.said


class AnkiConnect:
    """Calls actions of AnkiConnect, one request at a time: Anki takes no more, and loses what comes at once.

    Args:
        post: Sends a request's body and returns the reply.
        key: The key that is set in the add-on; None when none is, since then it refuses any.
    """

    def __init__(self, post: Callable[[Any, bool], Response], key: str | None) -> None:
        self._post = post
        self._key = key

    def call(self, action: str, *, repeatable: bool = True, **params: Any) -> Any:
        """Do one action and return its result.

        Args:
            action: Its name.
            repeatable: Whether to do it twice is no worse than once.
            **params: Its parameters.

        Raises:
            AnkiError: Anki refuses it.
            AuthenticationError: The key is missing or wrong.
            TransientError: Anki cannot be reached, or its reply was lost.
        """
        reply = self._post(self._request(action, params), repeatable)
        try:
            answer = reply.json()
        except TransientError:  # a page for people, say
            answer = None
        return self._result(action, answer)

    def calls(self, calls: Iterable[Call]) -> list[Any]:
        """Do several actions in as few requests as is fastest; return each result, or the `AnkiError` in its place.

        Raises:
            TransientError: Anki cannot be reached. What was done is done.
        """
        results: list[Any] = []
        for batch in self._batches(calls):
            answers = self.call("multi", actions=[self._request(*call) for call in batch])
            if not isinstance(answers, list) or len(answers) != len(batch):
                raise ProviderError("Anki does not answer each of several calls.")
            for (action, _), answer in zip(batch, answers, strict=True):
                try:
                    results.append(self._result(action, answer))
                except AnkiError as error:
                    results.append(error)
        return results

    def supported(self, actions: Sequence[str]) -> set[str]:
        """Return those of some actions that this release of the add-on has."""
        try:
            answer = self.call("apiReflect", scopes=["actions"], actions=list(actions))
            return set(answer["actions"])
        except (AnkiError, KeyError, TypeError):
            return set()

    def _request(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        # Each action of several is looked at by itself, and so has a version and a key of its own.
        request = {"action": action, "version": VERSION, "params": params}
        return request if self._key is None else {**request, "key": self._key}

    def _batches(self, calls: Iterable[Call]) -> Iterator[list[Call]]:
        batch: list[Call] = []
        size = 0
        for call in calls:
            length = len(json.dumps(call[1]))
            if batch and (size + length > BEST_BODY or len(batch) == MOST_CALLS):
                yield batch
                batch, size = [], 0
            batch.append(call)
            size += length
        if batch:
            yield batch

    def _result(self, action: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or "error" not in answer or "result" not in answer:
            raise ProviderError("What answers here is not AnkiConnect.", hint="Check url.")
        if answer["error"] is None:
            return answer["result"]
        said = redact(str(answer["error"]), [self._key] if self._key else [])
        if "api key" in said:
            raise AuthenticationError(
                f"AnkiConnect refuses the key ({said}).",
                hint="Set api_key to what the add-on's setting apiKey says; leave it out if that is null.",
            )
        hint = None
        if _NO_COLLECTION in said:
            hint = "Open a profile in Anki, and close what covers its main window."
        elif said == "unsupported action":
            hint = "Update the add-on AnkiConnect in Anki, under Tools, Add-ons."
        raise AnkiError(action, said, hint=hint)


def unreachable(url: str, error: TransientError) -> TransientError:
    """Return the error for an Anki that does not answer."""
    if error.reply_lost:
        return error
    return TransientError(
        f"Anki cannot be reached at {url}.",
        hint=f"Start Anki, with the add-on AnkiConnect ({ADD_ON}) installed and a profile open.",
    )
