"""Pictures by the many models at runware.ai; needs a key.

A request is a list of tasks, each with a UUID that we choose and the response repeats. So one request can ask for many
pictures, some of them may fail, and if a response was lost, the service can be asked about its tasks. The facts are
from Runware's documentation and its Python client.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import attrs
from msgspec import Meta

from deckwright import MediaProvider, MediaRequest, MediaResult, ProviderInfo, Traits, errors, hookimpl
from deckwright.providers.media import cost_estimate
from deckwright.toolkit.http import Response, is_url, same_output
from deckwright.toolkit.images import (
    ImageGenerationProvider,
    ImageGenerationSettings,
    decode_image,
    prompt_for,
)
from deckwright.toolkit.install_hints import ONLINE_EXTRA
from deckwright.toolkit.media_format import write_media
from deckwright_builtins.runware.task_errors import charged_error, request_error
from deckwright_builtins.runware.tasks import PICTURE_KEYS, Task, Tasks

if TYPE_CHECKING:
    from deckwright.toolkit.http import HttpClient

DEFAULT_MODEL = "runware:101@1"  # FLUX.1 dev
# US dollars for a picture of 512 x 512 pixels by FLUX.1 dev in 28 steps; 1024 x 1024 pixels cost twice as much.
_USUAL_PRICE = 0.0019
_USUAL_STEPS = 28
_DEFAULT_STEPS = 20  # the service's own default
_DRY_RUN = {"x-runware-dry-run": "1"}


@attrs.define(kw_only=True)
class RunwareSettings(ImageGenerationSettings):
    """The settings of `runware`."""

    base_url: Annotated[str, Meta(description="the address of the service")] = attrs.field(
        default="https://api.runware.ai/v1", validator=is_url
    )
    model: Annotated[str, Meta(min_length=1, description="an AIR id, source:id@version")] = DEFAULT_MODEL
    negative_prompt: Annotated[str, Meta(description="what should not be in the picture")] = ""
    # Which sizes there are depends on the model, and the service checks them.
    width: Annotated[int, Meta(gt=0, description="pixels; for most models, a multiple of 64")] = 512
    height: Annotated[int, Meta(gt=0, description="pixels; for most models, a multiple of 64")] = 512
    steps: Annotated[int | None, Meta(description="more steps take longer and give more detail")] = None
    guidance_scale: Annotated[float | None, Meta(description="how closely the prompt is followed")] = None
    sampler: Annotated[str | None, Meta(description="the scheduler, for models with several")] = None
    seed: Annotated[int | None, Meta(description="the same seed gives the same picture")] = None
    output_type: Annotated[
        Literal["URL", "base64Data", "dataURI"], Meta(description="how the service sends pictures")
    ] = same_output("URL")
    output_format: Annotated[Literal["JPG", "PNG", "WEBP"], Meta(description="the kind of file")] = "JPG"
    batch_size: Annotated[int, Meta(ge=1, description="how many pictures in one request")] = same_output(10)


class Runware(ImageGenerationProvider):
    """Generates pictures, several in one request."""

    config_class = RunwareSettings
    settings: RunwareSettings

    @property
    def base_url(self) -> str:
        """The address of the service; its version is added if the setting does not have it."""
        url = self.settings.base_url.rstrip("/")
        return url if urlsplit(url).path else f"{url}/v1"

    def check_connection(self) -> str:
        """Get the balance, which is free."""
        task = {"taskType": "accountManagement", "taskUUID": str(uuid.uuid4()), "operation": "getDetails"}
        balance = self._run_free(task).get("balance")
        if not isinstance(balance, Mapping):
            return "the key is accepted"
        return f"the key is accepted; the balance is {balance.get('amount')} {balance.get('currency', '')}".strip()

    def generate_batch(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several, `batch_size` of them in one request; return one result per request, in the same order."""
        http = self.http
        size = self.settings.batch_size
        batches = [requests[start : start + size] for start in range(0, len(requests), size)]
        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            made = pool.map(lambda batch: self._generate_together(http, batch), batches)
            return list(chain.from_iterable(made))

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        [result] = self._generate_together(self.http, [request])
        return result

    def _generate_together(self, http: HttpClient, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several in one HTTP request; return one result per request, in the same order.

        One client does all of it: once it is closed, nothing more is sent.
        """
        tasks = [self._task_for(request) for request in requests]
        valid, sent_before = [], {}
        for request, task in zip(requests, tasks, strict=True):
            if not isinstance(task, errors.ProviderError):
                valid.append(task)
                if request.id and request.requested_before:
                    sent_before[task["taskUUID"]] = request.requested_before
        outcomes = Tasks(http, self.base_url, self.settings).run(valid, sent_before=sent_before)

        def result(request: MediaRequest, task: Task | errors.ProviderError) -> MediaResult:
            outcome = task if isinstance(task, errors.ProviderError) else outcomes[task["taskUUID"]]
            if isinstance(outcome, errors.ProviderError):
                return self._failure(outcome)
            return self._result(http, request, outcome)

        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            return list(pool.map(result, requests, tasks))

    def _result(self, http: HttpClient, request: MediaRequest, outcome: dict[str, Any]) -> MediaResult:
        """Save the picture of a task that was done; if that fails, the result still has its cost."""
        metadata = {"model": self.settings.model, "seed": outcome.get("seed")}
        metadata |= {"cost": _amount(outcome.get("cost")), "task": outcome["taskUUID"]}
        try:
            return MediaResult(True, _save_picture(http, outcome, request.target), metadata)
        except errors.ProviderError as error:
            failure = charged_error(error, is_old=request.requested_before is not None)
        except OSError as error:  # the other pictures of the request are charged too, and must be saved
            failure = errors.TransientError(f"The picture cannot be written ({error}).", reply_lost=True)
        return attrs.evolve(self._failure(failure), metadata=metadata)

    def _task_for(self, request: MediaRequest) -> Task | errors.ProviderError:
        """Return the task for a request, or an error, before anything is paid for."""
        if not self.validate_request(request):
            return errors.InvalidRequestError(f"Runware makes pictures, not {request.type}.")
        if request.output_path is None:
            return errors.InvalidRequestError(f"The request for {request.content!r} has no output_path.")
        return self._task(prompt_for(request, self.settings), request.id)

    def _task(self, prompt: str, id: str = "") -> Task:
        settings = self.settings
        task = {
            "taskType": "imageInference",
            "taskUUID": _uuid(id),
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

    def _run_free(self, task: Task, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run one task that costs nothing; return its outcome."""
        outcomes = Tasks(self.http, self.base_url, self.settings).run([task], headers, are_free=True)
        outcome = outcomes[task["taskUUID"]]
        if isinstance(outcome, errors.ProviderError):
            self._failure(outcome)  # masks the key in it
            raise outcome
        return outcome

    def _usual_price(self) -> float:
        """Return the price of a picture of this size by FLUX.1 dev."""
        area = 2 / 3 + self.settings.width * self.settings.height / (3 * 512 * 512)
        return _USUAL_PRICE * area * (self.settings.steps or _DEFAULT_STEPS) / _USUAL_STEPS

    def fetch_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Get the price of one picture by a dry run, which makes nothing and is free; all pictures cost the same."""
        task = self._task(prompt_for(requests[0], self.settings) if requests else "a picture")
        outcome = self._run_free(task, _DRY_RUN)
        if any(key in outcome for key in PICTURE_KEYS):
            raise errors.ProviderError("Runware ignored the dry run: a picture may have been charged.")
        price = _amount(outcome.get("cost"))
        if price is None:
            raise errors.ProviderError("Runware does not report the price.")
        return cost_estimate(price, requests)

    def _error_for(self, response: Response) -> errors.ProviderError | None:
        return request_error(response)


def _uuid(id: str) -> str:
    """Return the UUID of a task, which is always the same for a request's id; a new one if there is no id.

    Runware only accepts version 4.
    """
    if not id:
        return str(uuid.uuid4())
    with suppress(ValueError):
        if (given := uuid.UUID(id)).version == 4:
            return str(given)
    return str(uuid.UUID(bytes=hashlib.sha256(id.encode()).digest()[:16], version=4))


def _save_picture(http: HttpClient, outcome: dict[str, Any], target: Path) -> Path:
    if url := outcome.get("imageURL"):
        return http.download(str(url), target, "image")
    encoded = str(outcome.get("imageBase64Data") or outcome.get("imageDataURI") or "")
    return write_media(decode_image(encoded.rpartition(",")[2]), target, "image")


def _amount(value: Any) -> float | None:
    """Return an amount of money, or None if it is not a finite number."""
    try:
        is_finite = not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return None
    return value if is_finite else None


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `runware`."""
    summary = "Pictures by the models at runware.ai; needs a key and costs money"
    traits = Traits(requests_per_item=1, resumable=True)
    return [ProviderInfo("image", "runware", summary, RunwareSettings, ONLINE_EXTRA, traits)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `runware`."""
    return Runware(config) if (type, name) == ("image", "runware") else None
