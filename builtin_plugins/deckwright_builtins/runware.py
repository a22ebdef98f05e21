"""Pictures painted by the many models at runware.ai; needs a key.

A request is a list of tasks, each with a UUID that we make and the answer repeats; so many pictures are asked for
in one request, some may fail while the others come, and what became of a task can be asked when a reply was
lost. The facts are from Runware's documentation and its Python client.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeAlias
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

DEFAULT_MODEL = "runware:101@1"  # FLUX.1 dev
# US dollars for a picture by FLUX.1 dev of 512 x 512 pixels in 28 steps; of 1024 x 1024 it is twice as much.
_USUAL_PRICE = 0.0019
_USUAL_STEPS = 28
_DEFAULT_STEPS = 20  # of the service, when a task names none
# One or the other, as `output_type` has it.
_PICTURE_KEYS = ("imageURL", "imageBase64Data", "imageDataURI")
_DRY_RUN = {"x-runware-dry-run": "1"}

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
        size = self.settings.batch_size
        batches = [requests[start : start + size] for start in range(0, len(requests), size)]
        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            return [result for results in pool.map(self._generate_together, batches) for result in results]

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        [result] = self._generate_together([request])
        return result

    def _generate_together(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several in one request; one result a request, in the same order."""
        tasks = [self._task_for(request) for request in requests]
        outcomes = self._run([task for task in tasks if not isinstance(task, ProviderError)])

        def result(request: MediaRequest, task: Task | ProviderError) -> MediaResult:
            outcome = task if isinstance(task, ProviderError) else outcomes[task["taskUUID"]]
            if isinstance(outcome, ProviderError):
                return self._failed(outcome)
            try:
                path = self._fetched(outcome, request.target)
            except ProviderError as error:
                return self._failed(error)
            except OSError as error:  # which is no matter of the others, that are paid for too
                return self._failed(ProviderError(f"The picture cannot be written ({error})."))
            about = {"model": self.settings.model, "seed": outcome.get("seed"), "cost": outcome.get("cost")}
            return MediaResult(True, path, {**about, "task": outcome["taskUUID"]})

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

    def _run(self, tasks: Sequence[Task]) -> dict[str, Outcome]:
        """Have tasks carried out, each once; return what became of each, by UUID.

        A request whose reply was lost may have been carried out and charged. So what became of its tasks is
        asked before those that the service knows nothing of are sent again, under the same UUIDs.
        """
        outcomes: dict[str, Outcome] = {}
        tries = 1 + self.settings.max_retries
        while waiting := [task for task in tasks if task["taskUUID"] not in outcomes]:
            tries -= 1
            try:
                outcomes |= self._send(waiting)
            except ProviderError as error:
                is_lost = isinstance(error, TransientError) and error.reply_lost
                if is_lost:
                    outcomes |= self._recovered([task["taskUUID"] for task in waiting])
                if not (is_lost and tries):
                    outcomes = {**{task["taskUUID"]: error for task in waiting}, **outcomes}
        return outcomes

    def _outcome(self, task: Task, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a request with one task that costs nothing; return what came of it."""
        outcome = self._send([task], headers)[task["taskUUID"]]
        if isinstance(outcome, ProviderError):
            self._failed(outcome)  # masks the key in it
            raise outcome
        return outcome

    def _send(self, tasks: Sequence[Task], headers: Mapping[str, str] | None = None) -> dict[str, Outcome]:
        """Make one request; return what became of each of its tasks, by UUID."""
        reply = self._ask(tasks, headers, idempotent=False)
        answer = reply.json()
        outcomes: dict[str, Outcome] = {}
        for failure in _dicts(answer.get("errors")):
            outcomes[str(failure.get("taskUUID"))] = _error(failure, reply)
        for item in _dicts(answer.get("data")):
            outcomes[str(item.get("taskUUID"))] = item
        silent = ProviderError("Runware does not say what became of this picture.")
        return {task["taskUUID"]: outcomes.get(task["taskUUID"], silent) for task in tasks}

    def _recovered(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Ask what became of tasks, for a while: they may still be under way."""
        import tenacity

        def ask() -> dict[str, Outcome]:
            asked = [{"taskType": "getTaskDetails", "taskUUID": id} for id in ids]
            try:
                details = self._ask(asked).json().get("data")
            except ProviderError as error:
                # It stays unknown whether they were charged, so they are not sent again.
                return dict.fromkeys(ids, error)
            return {
                item["taskUUID"]: item
                for item in _within(details)
                if item.get("taskUUID") in ids and any(key in item for key in _PICTURE_KEYS)
            }

        return tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda found: len(found) < len(ids)),
            stop=tenacity.stop_after_attempt(1 + self.settings.max_retries),
            wait=tenacity.wait_exponential(multiplier=0.5, max=10),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else {},
        )(ask)

    def _ask(
        self, tasks: Sequence[Task], headers: Mapping[str, str] | None = None, *, idempotent: bool = True
    ) -> Reply:
        return self.http.request(
            "POST", self.base_url, json=list(tasks), headers=headers, idempotent=idempotent
        )

    def _fetched(self, outcome: dict[str, Any], target: Path) -> Path:
        if url := outcome.get("imageURL"):
            return self.http.download(str(url), target, "image")
        encoded = str(outcome.get("imageBase64Data") or outcome.get("imageDataURI") or "")
        try:
            content = base64.b64decode(encoded.rpartition(",")[2], validate=True)
        except (binascii.Error, ValueError):
            raise BadMediaError("Runware's picture is not well-formed base64.") from None
        return write_media(content, target, "image")

    # Money

    def _usual_price(self) -> float:
        """Return what a picture of this size costs with FLUX.1 dev."""
        area = 2 / 3 + self.settings.width * self.settings.height / (3 * 512 * 512)
        return _USUAL_PRICE * area * (self.settings.steps or _DEFAULT_STEPS) / _USUAL_STEPS

    def ask_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Have one picture priced in a dry run, which neither runs nor costs anything; all cost the same."""
        task = self._task(prompt_for(requests[0], self.settings) if requests else "a picture")
        outcome = self._outcome(task, _DRY_RUN)
        try:
            each = float(outcome["cost"])
        except (KeyError, TypeError, ValueError):
            raise ProviderError("Runware tells no price.") from None
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
        passing = [error for error in errors if isinstance(error, TransientError | RateLimitedError)]
        if passing:
            return passing[0]
        # Where each task has a fault of its own, the others of the request are no worse for it.
        return None if all("taskUUID" in failure for failure in failures) else errors[0]


def _error(failure: Mapping[str, Any], reply: Reply) -> ProviderError:
    """Return the error for one entry of `errors`, by the family of its code."""
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
        return TransientError(message)
    if family.startswith(("invalid", "missing", "unsupported")):
        return InvalidRequestError(message)
    return painting_error(reply, message) or ProviderError(message)


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
