"""Pictures painted by the many models at runware.ai; needs a key.

A request is a list of tasks, each with a UUID that we make and the answer repeats; so many pictures are asked for
in one request, some may fail while the others come, and what became of a task can be asked when a reply was
lost. The facts are from Runware's documentation and its Python client.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import math
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard
from urllib.parse import urlsplit

import attrs

from deckwright import (
    AuthenticationError,
    BadMediaError,
    ContentPolicyError,
    InvalidRequestError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    ProviderError,
    ProviderInfo,
    QuotaError,
    RateLimitedError,
    Traits,
    TransientError,
    hookimpl,
)
from deckwright.extras import ONLINE_EXTRA
from deckwright.http import Reply, is_url
from deckwright.media_files import write_media
from deckwright.painting import (
    PaintingProvider,
    PaintingSettings,
    estimate,
    painting_error,
    prompt_for,
)

if TYPE_CHECKING:
    from deckwright.http import HttpClient

DEFAULT_MODEL = "runware:101@1"  # FLUX.1 dev
# US dollars for a picture by FLUX.1 dev of 512 x 512 pixels in 28 steps; of 1024 x 1024 it is twice as much.
_USUAL_PRICE = 0.0019
_USUAL_STEPS = 28
_DEFAULT_STEPS = 20  # of the service, when a task names none
# One or the other, as `output_type` has it.
_PICTURE_KEYS = ("imageURL", "imageBase64Data", "imageDataURI")
_DRY_RUN = {"x-runware-dry-run": "1"}
# Seconds before another try or another question, the last of them as often as need be. A task that the service
# has not heard of after all of them is taken for one that never arrived; until then it may be registered yet.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
# Where the time-out is shorter than that, it must have said so to the last of so many questions at least.
_FEWEST_POLLS = 3

Task = dict[str, Any]
# What became of a task: the part of the answer that is about it, or why there is none.
Outcome: TypeAlias = "dict[str, Any] | ProviderError"


@attrs.define(kw_only=True)
class RunwareSettings(PaintingSettings):
    """What is painted, by which model."""

    base_url: str = attrs.field(
        default="https://api.runware.ai/v1", validator=is_url, metadata={"help": "where the service is"}
    )
    model: str = attrs.field(
        default=DEFAULT_MODEL,
        validator=attrs.validators.min_len(1),
        metadata={"help": "a model by its AIR id, source:id@version"},
    )
    negative_prompt: str = attrs.field(default="", metadata={"help": "what should not be in the picture"})
    # Which sizes there are depends on the model, and the service says so.
    width: int = attrs.field(
        default=512,
        validator=attrs.validators.gt(0),
        metadata={"help": "pixels; of most models, a multiple of 64"},
    )
    height: int = attrs.field(
        default=512,
        validator=attrs.validators.gt(0),
        metadata={"help": "pixels; of most models, a multiple of 64"},
    )
    steps: int | None = attrs.field(
        default=None, metadata={"help": "how long it is painted at; the model's own, when not set"}
    )
    guidance_scale: float | None = attrs.field(
        default=None, metadata={"help": "how closely the prompt is kept to; the model's own, when not set"}
    )
    sampler: str | None = attrs.field(
        default=None, metadata={"help": "the scheduler, for models with several"}
    )
    seed: int | None = attrs.field(
        default=None, metadata={"help": "the same number gives the same picture; drawn, when not set"}
    )
    output_type: Literal["URL", "base64Data", "dataURI"] = attrs.field(
        default="URL", metadata={"help": "how pictures come"}
    )
    output_format: Literal["JPG", "PNG", "WEBP"] = attrs.field(
        default="JPG", metadata={"help": "the kind of file"}
    )
    batch_size: int = attrs.field(
        default=10, validator=attrs.validators.ge(1), metadata={"help": "how many pictures in one request"}
    )


class Runware(PaintingProvider):
    """Has pictures painted, several in one request."""

    config_class = RunwareSettings
    settings: RunwareSettings

    @property
    def base_url(self) -> str:
        """Where the service is; its version is added where the setting leaves it out."""
        url = self.settings.base_url.rstrip("/")
        return url if urlsplit(url).path else f"{url}/v1"

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.settings.api_key}"}

    def check_connection(self) -> str:
        """Ask for the balance, which costs nothing."""
        task = {"taskType": "accountManagement", "taskUUID": str(uuid.uuid4()), "operation": "getDetails"}
        balance = self._outcome(task).get("balance")
        if not isinstance(balance, Mapping):
            return "the key is accepted"
        return f"the key is accepted; the balance is {balance.get('amount')} {balance.get('currency', '')}".strip()

    def generate_batch(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several, `batch_size` of them in one request; one result a request, in the same order."""
        http = self.http
        size = self.settings.batch_size
        batches = [requests[start : start + size] for start in range(0, len(requests), size)]
        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            made = pool.map(lambda batch: self._generate_together(http, batch), batches)
            return [result for results in made for result in results]

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        [result] = self._generate_together(self.http, [request])
        return result

    def _generate_together(self, http: HttpClient, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several in one request; one result a request, in the same order.

        All is done with one client: once it is closed, nothing more is.
        """
        tasks = [self._task_for(request) for request in requests]
        outcomes = self._run(http, [task for task in tasks if not isinstance(task, ProviderError)])

        def result(request: MediaRequest, task: Task | ProviderError) -> MediaResult:
            outcome = task if isinstance(task, ProviderError) else outcomes[task["taskUUID"]]
            if isinstance(outcome, ProviderError):
                return self._failed(outcome)
            try:
                path = _fetched(http, outcome, request.target)
            except ProviderError as error:
                return self._failed(error)
            except OSError as error:  # which is no matter of the others, that are paid for too
                return self._failed(ProviderError(f"The picture cannot be written ({error})."))
            about = {"model": self.settings.model, "seed": outcome.get("seed")}
            about |= {"cost": _amount(outcome.get("cost")), "task": outcome["taskUUID"]}
            return MediaResult(True, path, about)

        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            return list(pool.map(result, requests, tasks))

    def _task_for(self, request: MediaRequest) -> Task | ProviderError:
        """Return the task for a request, or why there can be none: before anything is paid for."""
        if not self.validate_request(request):
            return InvalidRequestError(f"Runware delivers pictures, not {request.type}.")
        if request.output_path is None:
            return InvalidRequestError(f"The request for {request.content!r} names no file.")
        return self._task(prompt_for(request, self.settings))

    def _task(self, prompt: str) -> Task:
        settings = self.settings
        task = {
            "taskType": "imageInference",
            "taskUUID": str(uuid.uuid4()),
            "model": settings.model,
            "positivePrompt": prompt,
            "negativePrompt": settings.negative_prompt or None,
            "width": settings.width,
            "height": settings.height,
            "steps": settings.steps,
            "CFGScale": settings.guidance_scale,
            "scheduler": settings.sampler,
            "seed": settings.seed,
            "numberResults": 1,
            "outputType": settings.output_type,
            "outputFormat": settings.output_format,
            "includeCost": True,
            "deliveryMethod": "sync",
        }
        return {name: value for name, value in task.items() if value is not None}

    # Tasks and what became of them

    def _run(
        self,
        http: HttpClient,
        tasks: Sequence[Task],
        headers: Mapping[str, str] | None = None,
        *,
        are_free: bool = False,
    ) -> dict[str, Outcome]:
        """Have tasks carried out, each once; return what became of each, by UUID.

        A task whose reply was lost may have been carried out and charged, unless it is free. So what became of it
        is asked, and it is sent again, under the same UUID, only where the service has never heard of it. So are
        those whose error may pass.
        """
        outcomes: dict[str, Outcome] = {}
        waiting = list(tasks)
        for retry in range(1 + self.settings.max_retries):
            if not waiting:
                break
            try:
                said = self._send(http, waiting, headers)
            except ProviderError as error:
                said = {task["taskUUID"]: error for task in waiting}
                if not _is_lost(error):  # the client has tried often enough
                    return outcomes | said
            lost = {} if are_free else {id: each for id, each in said.items() if _is_lost(each)}
            outcomes |= said | self._recovered(http, lost)
            pauses = {id: self._pause(outcomes[id], retry) for id in said}
            waiting = [task for task in waiting if pauses[task["taskUUID"]] is not None]
            if waiting and retry < self.settings.max_retries:
                # When this ends early, the client is closed, and refuses the next request.
                http.wait(max(pause for pause in pauses.values() if pause is not None))
        return outcomes

    def _pause(self, outcome: Outcome, retry: int) -> float | None:
        """Return how long to wait before a task is sent again; None, when that is of no use or too dear."""
        usual = _PAUSES[min(retry, len(_PAUSES) - 1)]
        if isinstance(outcome, RateLimitedError):
            pause = usual if outcome.retry_after is None else outcome.retry_after
            return pause if pause <= self.settings.longest_wait else None
        return usual if isinstance(outcome, TransientError) and not outcome.reply_lost else None

    def _outcome(self, task: Task, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a request with one task that costs nothing; return what came of it."""
        outcome = self._run(self.http, [task], headers, are_free=True)[task["taskUUID"]]
        if isinstance(outcome, ProviderError):
            self._failed(outcome)  # masks the key in it
            raise outcome
        return outcome

    def _send(
        self, http: HttpClient, tasks: Sequence[Task], headers: Mapping[str, str] | None
    ) -> dict[str, Outcome]:
        """Make one request; return what became of each of its tasks, by UUID."""
        reply = http.request("POST", self.base_url, json=list(tasks), headers=headers, idempotent=False)
        answer = reply.json()
        outcomes: dict[str, Outcome] = {}
        otherwise = ProviderError("Runware does not say what became of this picture.")
        for failure in _dicts(answer.get("errors")):
            if id := failure.get("taskUUID"):
                outcomes[str(id)] = _error(failure, reply)
            else:
                otherwise = _error(failure, reply)
        for item in _dicts(answer.get("data")):
            outcomes[str(item.get("taskUUID"))] = item
        return {task["taskUUID"]: outcomes.get(task["taskUUID"], otherwise) for task in tasks}

    def _recovered(self, http: HttpClient, lost: Mapping[str, TransientError]) -> dict[str, Outcome]:
        """Ask what became of tasks whose reply was lost, until all is known or the time is up.

        Tasks that the service has not heard of fail with an error that may pass, those it does not tell of with
        one of which it is said that they may have been charged.
        """
        found: dict[str, Outcome] = {}
        end = time.monotonic() + self.settings.timeout
        for polls in itertools.count(1):
            missing = lost.keys() - found.keys()
            if not missing:
                break
            try:
                told, denied = self._details(http, sorted(missing))
            except ProviderError as error:
                may_pass = isinstance(error, TransientError | RateLimitedError)  # which the question did not
                found |= {id: _unknown(error) if may_pass else error for id in missing}
                break
            found |= told
            missing -= told.keys()
            pause = _PAUSES[min(polls, len(_PAUSES)) - 1]
            is_over = time.monotonic() + pause > end
            if is_over or (polls > len(_PAUSES) and missing <= denied):
                if polls < _FEWEST_POLLS:
                    denied = set()
                found |= {
                    id: TransientError(lost[id].message) if id in denied else _unknown(lost[id])
                    for id in missing
                }
                break
            http.wait(pause)
        return found

    def _details(self, http: HttpClient, ids: Sequence[str]) -> tuple[dict[str, Outcome], set[str]]:
        """Ask once what became of tasks; return what is told of them, and which ones are not known there."""
        asked = [{"taskType": "getTaskDetails", "taskUUID": id} for id in ids]
        reply = http.request("POST", self.base_url, json=asked)
        answer = reply.json()
        failures = list(_dicts(answer.get("errors")))
        denied = {str(failure.get("taskUUID")) for failure in failures if _denies(failure)}
        told: dict[str, Outcome] = {}
        for item in _within([[each for each in failures if not _denies(each)], answer.get("data")]):
            id = str(item.get("taskUUID"))
            if any(key in item for key in _PICTURE_KEYS):
                told[id] = item
            elif "code" in item:
                error = _error(item, reply)
                # One that may pass is of an earlier try, or of this question.
                if not isinstance(error, TransientError | RateLimitedError):
                    told.setdefault(id, error)
        return {id: told[id] for id in ids if id in told}, denied

    # Money

    def _usual_price(self) -> float:
        """Return what a picture of this size costs with FLUX.1 dev."""
        area = 2 / 3 + self.settings.width * self.settings.height / (3 * 512 * 512)
        return _USUAL_PRICE * area * (self.settings.steps or _DEFAULT_STEPS) / _USUAL_STEPS

    def ask_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Have one picture priced in a dry run, which neither runs nor costs anything; all cost the same."""
        task = self._task(prompt_for(requests[0], self.settings) if requests else "a picture")
        outcome = self._outcome(task, _DRY_RUN)
        if any(key in outcome for key in _PICTURE_KEYS):
            raise ProviderError(
                "Runware took no notice of the dry run: it painted, and perhaps charged for it."
            )
        each = _amount(outcome.get("cost"))
        if each is None:
            raise ProviderError("Runware tells no price.")
        return estimate(each, requests)

    def _explain(self, reply: Reply) -> ProviderError | None:
        """Tell an error of the whole request from those of some tasks: the body says more than the status."""
        try:
            answer = reply.json()
        except TransientError:
            return painting_error(reply)
        if not isinstance(answer, dict):
            return painting_error(reply) or ProviderError("Runware answered in a form that is not known.")
        failures = list(_dicts(answer.get("errors")))
        if not failures:
            return painting_error(reply)
        if answer.get("data"):
            return None
        errors = [_error(failure, reply) for failure in failures]
        is_whole = not any(failure.get("taskUUID") for failure in failures)
        # When all come too soon, other requests would do so too, and the client has them wait.
        return errors[0] if is_whole or all(isinstance(error, RateLimitedError) for error in errors) else None


def _fetched(http: HttpClient, outcome: dict[str, Any], target: Path) -> Path:
    if url := outcome.get("imageURL"):
        return http.download(str(url), target, "image")
    encoded = str(outcome.get("imageBase64Data") or outcome.get("imageDataURI") or "")
    try:
        content = base64.b64decode(encoded.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise BadMediaError("Runware's picture is not well-formed base64.") from None
    return write_media(content, target, "image")


def _error(failure: Mapping[str, Any], reply: Reply) -> ProviderError:
    """Return the error for one entry of `errors`; one that passes after a time that the service names is a limit."""
    error = _error_by_code(failure, reply)
    if isinstance(error, TransientError) and not error.reply_lost and reply.retry_after is not None:
        return RateLimitedError(error.message, retry_after=reply.retry_after)
    return error


def _error_by_code(failure: Mapping[str, Any], reply: Reply) -> ProviderError:
    code = str(failure.get("code") or "")
    message = f"{failure.get('message') or 'no reason given'} ({code or 'no code'}{_limits(failure)})"
    family = code.lower()
    if family.endswith(("credits", "quota", "balance")):
        return QuotaError(message, hint="Add credits to the account.")
    if family.endswith("apikey"):
        return AuthenticationError(message, hint="Check api_key.")
    if family.endswith("ratelimit"):
        return RateLimitedError(message, retry_after=reply.retry_after)
    if "safety" in family or "nsfw" in family:
        return ContentPolicyError(message, hint="Reword the prompt, or leave this word without a picture.")
    if family.startswith("timeout"):
        return TransientError(message, reply_lost=True)
    if family.startswith("provider"):
        return TransientError(message, reply_lost=_is_lost(painting_error(reply) or {}))
    if family.startswith(("invalid", "missing", "unsupported")):
        return InvalidRequestError(message)
    return painting_error(reply, message) or ProviderError(message)


def _is_lost(outcome: Outcome) -> TypeGuard[TransientError]:
    """Whether a task may have been carried out, and charged, all the same."""
    return isinstance(outcome, TransientError) and outcome.reply_lost


def _denies(failure: Mapping[str, Any]) -> bool:
    """Whether the service says that there is no such task."""
    return str(failure.get("code")).lower().endswith("notfound")


def _unknown(reason: ProviderError) -> TransientError:
    """Return the error of a task that must not be sent again."""
    return TransientError(
        f"What became of this picture is not known; it may have been charged. {reason.message}",
        reply_lost=True,
    )


def _amount(value: Any) -> float | None:
    """Return a number of dollars, or None where it is no finite number."""
    try:
        is_finite = not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return None
    return value if is_finite else None


def _limits(failure: Mapping[str, Any]) -> str:
    """Return what the service says of the parameter at fault, for a message."""
    parameter = failure.get("parameter")
    names = ", ".join(map(str, parameter)) if isinstance(parameter, list) else parameter
    facts = [
        f"{key} {failure[key]}" for key in ("min", "max", "multiplier", "allowedValues") if key in failure
    ]
    return "".join(f"; {fact}" for fact in (names, *facts) if fact)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list; of anything else, nothing."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _within(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in nested JSON: how a past reply is wrapped is not documented to the last detail."""
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        yield value
        children = value.values()
    elif isinstance(value, list):
        children = value
    for child in children:
        yield from _within(child)


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `runware`."""
    return [
        ProviderInfo(
            "image",
            "runware",
            "Pictures painted by the models at runware.ai; needs a key and costs money",
            config_class=RunwareSettings,
            extra=ONLINE_EXTRA,
            traits=Traits(requests_per_item=1),
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `runware`."""
    return Runware(config) if (type, name) == ("image", "runware") else None
