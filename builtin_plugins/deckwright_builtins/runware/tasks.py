"""Tasks at Runware, each of which is carried out once: sent, asked about when its reply was lost, and sent again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from deckwright import AuthenticationError, ProviderError, QuotaError, RateLimitedError, TransientError
from deckwright.toolkit.http import HttpSettings
from deckwright_builtins.runware.errors import Outcome, denies, dicts, is_lost, task_error, unknown

if TYPE_CHECKING:
    from deckwright.toolkit.http import HttpClient

# One or the other, as `outputType` has it.
PICTURE_KEYS = ("imageURL", "imageBase64Data", "imageDataURI")
# Seconds before another try or another question, the last of them as often as need be. A task that the service
# has not heard of after all of them is taken for one that never arrived; until then it may be registered yet.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
# Where the time-out is shorter than that, it must have said so to the last of so many questions at least.
_FEWEST_POLLS = 3

Task = dict[str, Any]


class Tasks:
    """Has tasks carried out, all with one client: once it is closed, nothing more is.

    Args:
        http: The client.
        url: Where the service is.
        settings: How often, and for how long.
    """

    def __init__(self, http: HttpClient, url: str, settings: HttpSettings) -> None:
        self._http = http
        self._url = url
        self._settings = settings

    def run(
        self,
        tasks: Sequence[Task],
        headers: Mapping[str, str] | None = None,
        *,
        asked_before: Mapping[str, datetime] | None = None,
        are_free: bool = False,
    ) -> dict[str, Outcome]:
        """Have tasks carried out, each once; return what became of each, by UUID.

        A task whose reply was lost may have been carried out and charged, unless it is free. So what became of it
        is asked, and it is sent again, under the same UUID, only where the service has never heard of it. So are
        those whose error may pass.

        Args:
            tasks: What is to be done.
            headers: Sent along.
            asked_before: By UUID, when a task was last sent of which nobody heard what became. It is asked first.
            are_free: Whether none of the tasks costs anything.
        """
        outcomes = self._recalled(asked_before) if asked_before else {}
        waiting = [task for task in tasks if task["taskUUID"] not in outcomes]
        for retry in range(1 + self._settings.max_retries):
            if not waiting:
                break
            try:
                said = self._send(waiting, headers)
            except ProviderError as error:
                said = {task["taskUUID"]: error for task in waiting}
                if not is_lost(error):  # the client has tried often enough
                    return outcomes | said
            lost = {} if are_free else {id: each for id, each in said.items() if is_lost(each)}
            outcomes |= said | self._recovered(lost)
            pauses = {id: self._pause(outcomes[id], retry) for id in said}
            waiting = [task for task in waiting if pauses[task["taskUUID"]] is not None]
            if waiting and retry < self._settings.max_retries:
                # When this ends early, the client is closed, and refuses the next request.
                self._http.wait(max(pause for pause in pauses.values() if pause is not None))
        return outcomes

    def _pause(self, outcome: Outcome, retry: int) -> float | None:
        """Return how long to wait before a task is sent again; None, when that is of no use or too dear."""
        usual = _PAUSES[min(retry, len(_PAUSES) - 1)]
        if isinstance(outcome, RateLimitedError):
            pause = usual if outcome.retry_after is None else outcome.retry_after
            return pause if pause <= self._settings.longest_wait else None
        return usual if isinstance(outcome, TransientError) and not outcome.reply_lost else None

    def _send(self, tasks: Sequence[Task], headers: Mapping[str, str] | None) -> dict[str, Outcome]:
        """Make one request; return what became of each of its tasks, by UUID."""
        reply = self._http.request("POST", self._url, json=list(tasks), headers=headers, idempotent=False)
        answer = reply.json()
        outcomes: dict[str, Outcome] = {}
        otherwise = ProviderError("Runware does not say what became of this picture.")
        for failure in dicts(answer.get("errors")):
            if id := failure.get("taskUUID"):
                outcomes[str(id)] = task_error(failure, reply)
            else:
                otherwise = task_error(failure, reply)
        for item in dicts(answer.get("data")):
            outcomes[str(item.get("taskUUID"))] = item
        return {task["taskUUID"]: outcomes.get(task["taskUUID"], otherwise) for task in tasks}

    def _recalled(self, asked_before: Mapping[str, datetime]) -> dict[str, Outcome]:
        """Ask what became of tasks that were sent some time ago; leave out those that are to be sent again."""
        now = datetime.now(timezone.utc)
        age = min((now - when.astimezone(timezone.utc)).total_seconds() for when in asked_before.values())
        lost = {id: TransientError("It was asked for before.", reply_lost=True) for id in asked_before}
        found = self._recovered(lost, age)
        return {id: outcome for id, outcome in found.items() if not _was_not_done(outcome)}

    def _recovered(self, lost: Mapping[str, TransientError], age: float = 0.0) -> dict[str, Outcome]:
        """Ask what became of tasks whose reply was lost, until all is known or the time is up.

        Tasks that the service has not heard of fail with an error that may pass, those it does not tell of with
        one of which it is said that they may have been charged.

        Args:
            lost: By UUID, how the reply was lost.
            age: How many seconds ago the last of them was sent.
        """
        found: dict[str, Outcome] = {}
        # What arrived so long ago is registered, and one denial is enough; it is not waited for twice.
        is_old = age > sum(_PAUSES)
        end = time.monotonic() + self._settings.timeout - (age if is_old else 0.0)
        for polls in itertools.count(1):
            missing = lost.keys() - found.keys()
            if not missing:
                break
            try:
                told, denied = self._details(sorted(missing))
            except ProviderError as error:
                found |= {id: unknown(error) for id in missing}
                break
            found |= told
            missing -= told.keys()
            pause = _PAUSES[min(polls, len(_PAUSES)) - 1]
            is_over = time.monotonic() + pause > end
            if is_over or ((is_old or polls > len(_PAUSES)) and missing <= denied):
                if polls < _FEWEST_POLLS and not is_old:
                    denied = set()
                found |= {
                    id: TransientError(lost[id].message) if id in denied else unknown(lost[id])
                    for id in missing
                }
                break
            self._http.wait(pause)
        return found

    def _details(self, ids: Sequence[str]) -> tuple[dict[str, Outcome], set[str]]:
        """Ask once what became of tasks; return what is told of them, and which ones are not known there."""
        asked = [{"taskType": "getTaskDetails", "taskUUID": id} for id in ids]
        reply = self._http.request("POST", self._url, json=asked)
        answer = reply.json()
        failures = list(dicts(answer.get("errors")))
        denied = {str(failure.get("taskUUID")) for failure in failures if denies(failure)}
        told: dict[str, Outcome] = {}
        for item in within([[each for each in failures if not denies(each)], answer.get("data")]):
            id = str(item.get("taskUUID"))
            if any(key in item for key in PICTURE_KEYS):
                told[id] = item
            elif "code" in item:
                error = task_error(item, reply)
                if isinstance(error, AuthenticationError):  # it is the question that is refused
                    raise error
                # One that may pass is of an earlier try, or of this question.
                if not isinstance(error, TransientError | RateLimitedError):
                    told.setdefault(id, error)
        return {id: told[id] for id in ids if id in told}, denied


def _was_not_done(outcome: Outcome) -> bool:
    """Whether a task was surely not carried out, and may be now: it never arrived, or there was no money then."""
    return isinstance(outcome, TransientError | QuotaError) and not is_lost(outcome)


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in nested JSON: how a past reply is wrapped is not documented to the last detail."""
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        yield value
        children = value.values()
    elif isinstance(value, list):
        children = value
    for child in children:
        yield from within(child)
