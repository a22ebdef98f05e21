"""Pictures painted by the many models at runware.ai; needs a key.

A request is a list of tasks, each with a UUID that we make and the answer repeats; so many pictures are asked for
in one request, some may fail while the others come, and what became of a task can be asked when a reply was
lost. The facts are from Runware's documentation and its Python client.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import attrs
from msgspec import Meta

from deckwright import (
    BadMediaError,
    InvalidRequestError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    ProviderError,
    ProviderInfo,
    Traits,
    TransientError,
    hookimpl,
)
from deckwright.toolkit.http import SAME_OUTPUT, Reply, is_url
from deckwright.toolkit.images import (
    PaintingProvider,
    PaintingSettings,
    estimate,
    prompt_for,
)
from deckwright.toolkit.install_hints import ONLINE_EXTRA
from deckwright.toolkit.media_format import write_media
from deckwright_builtins.runware.errors import not_kept, whole_error
from deckwright_builtins.runware.tasks import PICTURE_KEYS, Task, Tasks

if TYPE_CHECKING:
    from deckwright.toolkit.http import HttpClient

DEFAULT_MODEL = "runware:101@1"  # FLUX.1 dev
# US dollars for a picture by FLUX.1 dev of 512 x 512 pixels in 28 steps; of 1024 x 1024 it is twice as much.
_USUAL_PRICE = 0.0019
_USUAL_STEPS = 28
_DEFAULT_STEPS = 20  # of the service, when a task names none
_DRY_RUN = {"x-runware-dry-run": "1"}


@attrs.define(kw_only=True)
class RunwareSettings(PaintingSettings):
    """What is painted, by which model."""

    base_url: Annotated[str, Meta(description="the address of the service")] = attrs.field(
        default="https://api.runware.ai/v1", validator=is_url
    )
    model: Annotated[str, Meta(min_length=1, description="a model by its AIR id, source:id@version")] = (
        DEFAULT_MODEL
    )
    negative_prompt: Annotated[str, Meta(description="what should not be in the picture")] = ""
    # Which sizes there are depends on the model, and the service checks them.
    width: Annotated[int, Meta(gt=0, description="pixels; for most models, a multiple of 64")] = 512
    height: Annotated[int, Meta(gt=0, description="pixels; for most models, a multiple of 64")] = 512
    steps: Annotated[
        int | None, Meta(description="how many steps the model takes; the model's own number, when not set")
    ] = None
    guidance_scale: Annotated[
        float | None,
        Meta(description="how closely the picture follows the prompt; the model's own, when not set"),
    ] = None
    sampler: Annotated[str | None, Meta(description="the scheduler, for models with several")] = None
    seed: Annotated[
        int | None, Meta(description="the same number gives the same picture; random, when not set")
    ] = None
    output_type: Annotated[
        Literal["URL", "base64Data", "dataURI"], Meta(description="how the service sends pictures")
    ] = attrs.field(default="URL", metadata=SAME_OUTPUT)
    output_format: Annotated[Literal["JPG", "PNG", "WEBP"], Meta(description="the kind of file")] = "JPG"
    batch_size: Annotated[int, Meta(ge=1, description="how many pictures in one request")] = attrs.field(
        default=10, metadata=SAME_OUTPUT
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
        outcomes = Tasks(http, self.base_url, self.settings).run(
            [task for task in tasks if not isinstance(task, ProviderError)],
            asked_before={
                task["taskUUID"]: request.asked_before
                for request, task in zip(requests, tasks, strict=True)
                if request.id and request.asked_before and not isinstance(task, ProviderError)
            },
        )

        def result(request: MediaRequest, task: Task | ProviderError) -> MediaResult:
            outcome = task if isinstance(task, ProviderError) else outcomes[task["taskUUID"]]
            if isinstance(outcome, ProviderError):
                return self._failed(outcome)
            about = {"model": self.settings.model, "seed": outcome.get("seed")}
            about |= {"cost": _amount(outcome.get("cost")), "task": outcome["taskUUID"]}
            try:
                return MediaResult(True, _fetched(http, outcome, request.target), about)
            except ProviderError as error:
                failure = not_kept(error, is_told=request.asked_before is not None)
            except OSError as error:  # which is no matter of the others, that are paid for too
                failure = TransientError(f"The picture cannot be written ({error}).", reply_lost=True)
            # It cost what it cost.
            return attrs.evolve(self._failed(failure), metadata=about)

        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            return list(pool.map(result, requests, tasks))

    def _task_for(self, request: MediaRequest) -> Task | ProviderError:
        """Return the task for a request, or why there can be none: before anything is paid for."""
        if not self.validate_request(request):
            return InvalidRequestError(f"Runware delivers pictures, not {request.type}.")
        if request.output_path is None:
            return InvalidRequestError(f"The request for {request.content!r} names no file.")
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

    def _outcome(self, task: Task, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a request with one task that costs nothing; return what came of it."""
        outcome = Tasks(self.http, self.base_url, self.settings).run([task], headers, are_free=True)[
            task["taskUUID"]
        ]
        if isinstance(outcome, ProviderError):
            self._failed(outcome)  # masks the key in it
            raise outcome
        return outcome

    # Money

    def _usual_price(self) -> float:
        """Return what a picture of this size costs with FLUX.1 dev."""
        area = 2 / 3 + self.settings.width * self.settings.height / (3 * 512 * 512)
        return _USUAL_PRICE * area * (self.settings.steps or _DEFAULT_STEPS) / _USUAL_STEPS

    def ask_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Have one picture priced in a dry run, which neither runs nor costs anything; all cost the same."""
        task = self._task(prompt_for(requests[0], self.settings) if requests else "a picture")
        outcome = self._outcome(task, _DRY_RUN)
        if any(key in outcome for key in PICTURE_KEYS):
            raise ProviderError(
                "Runware took no notice of the dry run: it painted, and perhaps charged for it."
            )
        each = _amount(outcome.get("cost"))
        if each is None:
            raise ProviderError("Runware tells no price.")
        return estimate(each, requests)

    def _explain(self, reply: Reply) -> ProviderError | None:
        return whole_error(reply)


def _uuid(id: str) -> str:
    """Return the UUID of a task for the id of a request, the same for the same; a new one where there is none.

    Runware takes those of version 4 alone.
    """
    if not id:
        return str(uuid.uuid4())
    with suppress(ValueError):
        if (given := uuid.UUID(id)).version == 4:
            return str(given)
    return str(uuid.UUID(bytes=hashlib.sha256(id.encode()).digest()[:16], version=4))


def _fetched(http: HttpClient, outcome: dict[str, Any], target: Path) -> Path:
    if url := outcome.get("imageURL"):
        return http.download(str(url), target, "image")
    encoded = str(outcome.get("imageBase64Data") or outcome.get("imageDataURI") or "")
    try:
        content = base64.b64decode(encoded.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise BadMediaError("Runware's picture is not well-formed base64.") from None
    return write_media(content, target, "image")


def _amount(value: Any) -> float | None:
    """Return a number of dollars, or None where it is no finite number."""
    try:
        is_finite = not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return None
    return value if is_finite else None


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
            traits=Traits(requests_per_item=1, resumable=True),
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `runware`."""
    return Runware(config) if (type, name) == ("image", "runware") else None
