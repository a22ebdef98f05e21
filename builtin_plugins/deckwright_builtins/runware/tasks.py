"""Runs tasks at Runware, each once: sends it, asks about it if the response was lost, and sends it again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from deckwright import AuthenticationError, ProviderError, QuotaError, RateLimitedError, TransientError
from deckwright.toolkit.http import HttpSettings
from deckwright_builtins.runware.task_errors import (
    Outcome,
    dicts,
    is_lost,
    is_unknown_task,
    task_error,
    unknown_outcome,
)

if TYPE_CHECKING:
    from deckwright.toolkit.http import HttpClient

# One of these, depending on `outputType`.
PICTURE_KEYS = ("imageURL", "imageBase64Data", "imageDataURI")
# Seconds before the next try or question; the last one is repeated. A task that the service does not know after all of
# them never arrived; until then it may not be registered yet.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
# If the timeout is shorter than that, at least this many questions are asked.
_MIN_POLLS = 3

Task = dict[str, Any]


class Tasks:
    """Runs tasks with one client: once it is closed, nothing more is sent."""

    def __init__(self, http: HttpClient, url: str, settings: HttpSettings) -> None:
        self._http = http
        self._url = url
        self._settings = settings

    def run(
        self,
        tasks: Sequence[Task],
        headers: Mapping[str, str] | None = None,
        *,
        sent_before: Mapping[str, datetime] | None = None,
        are_free: bool = False,
    ) -> dict[str, Outcome]:
        """Run tasks, each once; return the outcome of each, by UUID.

        A task whose response was lost may have been done and charged, unless it is free. So the service is asked about
        it, and it is sent again, with the same UUID, only if the service does not know it. A task with a temporary
        error is sent again, too. `sent_before` has the times when tasks were sent whose outcome never arrived; the
        service is asked about them first.
        """
        outcomes = self._recover_old(sent_before) if sent_before else {}
        waiting = [task for task in tasks if task["taskUUID"] not in outcomes]
        for retry in range(1 + self._settings.max_retries):
            if not waiting:
                break
            try:
                received = self._send(waiting, headers)
            except ProviderError as error:
                received = {task["taskUUID"]: error for task in waiting}
                if not is_lost(error):  # the client has tried often enough
                    return outcomes | received
            lost = {} if are_free else {id: outcome for id, outcome in received.items() if is_lost(outcome)}
            outcomes |= received | self._recover(lost)
            pauses = {id: self._pause(outcomes[id], retry) for id in received}
            waiting = [task for task in waiting if pauses[task["taskUUID"]] is not None]
            if waiting and retry < self._settings.max_retries:
                # If the client is closed, this ends early, and the next request is refused.
                self._http.wait(max(pause for pause in pauses.values() if pause is not None))
        return outcomes

    def _pause(self, outcome: Outcome, retry: int) -> float | None:
        """Return how long to wait before a task is sent again; None if it should not be."""
        usual = _PAUSES[min(retry, len(_PAUSES) - 1)]
        if isinstance(outcome, RateLimitedError):
            pause = usual if outcome.retry_after is None else outcome.retry_after
            return pause if pause <= self._settings.longest_wait else None
        return usual if isinstance(outcome, TransientError) and not outcome.reply_lost else None

    def _send(self, tasks: Sequence[Task], headers: Mapping[str, str] | None) -> dict[str, Outcome]:
        """Send one request; return the outcome of each of its tasks, by UUID."""
        response = self._http.request("POST", self._url, json=list(tasks), headers=headers, idempotent=False)
        answer = response.json()
        outcomes: dict[str, Outcome] = {}
        otherwise = ProviderError("Runware's response does not mention this picture.")
        for failure in dicts(answer.get("errors")):
            if id := failure.get("taskUUID"):
                outcomes[str(id)] = task_error(failure, response)
            else:
                otherwise = task_error(failure, response)
        for item in dicts(answer.get("data")):
            outcomes[str(item.get("taskUUID"))] = item
        return {task["taskUUID"]: outcomes.get(task["taskUUID"], otherwise) for task in tasks}

    def _recover_old(self, sent_before: Mapping[str, datetime]) -> dict[str, Outcome]:
        """Ask about tasks that were sent some time ago; omit those that can be sent again."""
        now = datetime.now(timezone.utc)
        age = min((now - when.astimezone(timezone.utc)).total_seconds() for when in sent_before.values())
        lost = {id: TransientError("It was requested before.", reply_lost=True) for id in sent_before}
        outcomes = self._recover(lost, age)
        return {id: outcome for id, outcome in outcomes.items() if not _was_not_done(outcome)}

    def _recover(self, lost: Mapping[str, TransientError], age: float = 0.0) -> dict[str, Outcome]:
        """Ask about tasks whose response was lost, until the outcome of all is known or the time is up.

        The outcome of tasks that the service does not know is a temporary error; of those it says nothing about, an
        error that they may have been charged. `age` is how many seconds ago the last of them was sent.
        """
        outcomes: dict[str, Outcome] = {}
        # Old tasks are registered, so one answer is enough, and there is no need to wait.
        is_old = age > sum(_PAUSES)
        end = time.monotonic() + self._settings.timeout - (age if is_old else 0.0)
        for polls in itertools.count(1):
            missing = lost.keys() - outcomes.keys()
            if not missing:
                break
            try:
                known, unknown = self._get_details(sorted(missing))
            except ProviderError as error:
                outcomes |= {id: unknown_outcome(error) for id in missing}
                break
            outcomes |= known
            missing -= known.keys()
            pause = _PAUSES[min(polls, len(_PAUSES)) - 1]
            is_over = time.monotonic() + pause > end
            if is_over or ((is_old or polls > len(_PAUSES)) and missing <= unknown):
                if polls < _MIN_POLLS and not is_old:
                    unknown = set()
                outcomes |= {
                    id: TransientError(lost[id].message) if id in unknown else unknown_outcome(lost[id])
                    for id in missing
                }
                break
            self._http.wait(pause)
        return outcomes

    def _get_details(self, ids: Sequence[str]) -> tuple[dict[str, Outcome], set[str]]:
        """Ask once about tasks; return the known outcomes, and the tasks that the service does not know."""
        questions = [{"taskType": "getTaskDetails", "taskUUID": id} for id in ids]
        response = self._http.request("POST", self._url, json=questions)
        answer = response.json()
        failures = list(dicts(answer.get("errors")))
        unknown = {str(failure.get("taskUUID")) for failure in failures if is_unknown_task(failure)}
        known: dict[str, Outcome] = {}
        for item in all_dicts([[each for each in failures if not is_unknown_task(each)], answer.get("data")]):
            id = str(item.get("taskUUID"))
            if any(key in item for key in PICTURE_KEYS):
                known[id] = item
            elif "code" in item:
                error = task_error(item, response)
                if isinstance(error, AuthenticationError):  # the question itself is refused
                    raise error
                # A temporary error belongs to an earlier try, or to this question.
                if not isinstance(error, TransientError | RateLimitedError):
                    known.setdefault(id, error)
        return {id: known[id] for id in ids if id in known}, unknown


def _was_not_done(outcome: Outcome) -> bool:
    """Return whether a task was certainly not done, so that it may be sent: it never arrived, or there was no money."""
    return isinstance(outcome, TransientError | QuotaError) and not is_lost(outcome)


def all_dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in nested JSON: the exact form of an earlier response is not documented."""
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        yield value
        children = value.values()
    elif isinstance(value, list):
        children = value
    for child in children:
        yield from all_dicts(child)
