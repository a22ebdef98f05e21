"""The contract of providers of sound and pictures."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from deckwright.config.settings import output_settings
from deckwright.errors import InvalidRequestError, ProviderError
from deckwright.providers.base import Provider
from deckwright.secrets import secret_values
from deckwright.tracebacks import as_provider_error, format_traceback


def _not_empty(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value.strip():
        raise InvalidRequestError(f"A media request needs a {attribute.name}; this one's is empty.")


@attrs.define
class MediaRequest:
    """One sound or picture that is wanted.

    Attributes:
        type: What is wanted: `"audio"` or `"image"`.
        content: The word or phrase to speak, or the thing to show.
        params: What else is known. A build gives `language` (a BCP 47 tag such as `"es"` or `"pt-BR"`), and
            `reading`, `translation` where the word list has them.
        output_path: The file to write. A build always gives one, with the ending that it expects.
        id: A UUID by which a build knows this request, also after it was killed; empty where nobody gave one.
        asked_before: When this very request was made before without its outcome being known, if it was: it may have
            been carried out, and charged. A provider whose service can tell should ask it first.

    Raises:
        InvalidRequestError: `type` or `content` is empty; it is a `ValueError`.
    """

    type: str = attrs.field(validator=_not_empty)
    content: str = attrs.field(validator=_not_empty)
    params: dict[str, Any] = attrs.field(factory=dict)
    output_path: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    id: str = ""
    asked_before: datetime | None = None

    @property
    def target(self) -> Path:
        """The file to write, for providers that cannot do without one.

        Raises:
            InvalidRequestError: The request names none.
        """
        if self.output_path is None:
            raise InvalidRequestError(
                f"The request for {self.content!r} names no file: it has no output_path."
            )
        return self.output_path


@attrs.define
class MediaResult:
    """What came of a request.

    Attributes:
        success: Whether there is a file.
        file_path: The file, when there is one. Its ending says what it is.
        metadata: What is known of it; `attribution` is the line of credit that is due.
        error: Why there is none, for people.
        failure: The same as an error of this package, where the provider says so much.
    """

    success: bool
    file_path: Path | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict)
    error: str | None = None
    failure: ProviderError | None = None


class MediaProvider(Provider, ABC):
    """A source of sound or pictures.

    A class of this contract says what it delivers (`supported_types`) and makes it (`_generate_media_impl`);
    everything else has a default.

    Attributes:
        supported_types: What the provider delivers: `("audio",)`. A property does as well.
        at_once: How many requests a build may make of this provider at once; one after the other, if it says nothing.
    """

    supported_types: Sequence[str]
    at_once: int = 1

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return all that determines the result of a request, as JSON has it; what is not in it may change freely.

        By default, that is everything: the word, what is known of it, and every setting of this provider which is
        no secret and is not marked `metadata={"changes_output": False}`. The more a provider leaves out that it does
        not look at, the less a build has to make anew. Like `get_cost_estimate` it may be
        called while something is generated.
        """
        return {"settings": self.output_settings, "content": request.content, "params": request.params}

    @cached_property
    def output_settings(self) -> Mapping[str, Any]:
        """The settings that may change a result: neither secrets, nor those that say how a service is spoken to."""
        settings = getattr(self, "settings", None)
        return output_settings(settings if attrs.has(type(settings)) else self.config)

    @abstractmethod
    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        """Make what is asked for, written to `request.output_path`.

        Raises:
            ProviderError: One of its kinds, when it cannot be made.
        """

    def generate_media(self, request: MediaRequest) -> MediaResult:
        """Make what is asked for. Whatever goes wrong is in the result; nothing is raised."""
        try:
            if not self.validate_request(request):
                raise InvalidRequestError(
                    f"{type(self).__name__} delivers {', '.join(self.supported_types)}, not {request.type}."
                )
            return self._generate_media_impl(request)
        except ProviderError as error:
            return self._failed(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the code of others may even exit, or cancel itself
            self.logger.debug("%s", format_traceback(error, secret_values(self.config)))
            return self._failed(as_provider_error(error))

    def generate_batch(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several; one result a request, in the same order."""
        return [self.generate_media(request) for request in requests]

    def generate_audio(self, text: str, output_path: str | os.PathLike[str], **params: Any) -> MediaResult:
        """Make the sound of `text`; `params` as in `MediaRequest`."""
        return self.generate_media(MediaRequest("audio", text, params, Path(output_path)))

    def generate_image(self, prompt: str, output_path: str | os.PathLike[str], **params: Any) -> MediaResult:
        """Make a picture of `prompt`; `params` as in `MediaRequest`."""
        return self.generate_media(MediaRequest("image", prompt, params, Path(output_path)))

    def unfit_for(self, type: str) -> str:
        """Say what keeps this provider from delivering a type; empty when nothing does."""
        supported = getattr(self, "supported_types", None)
        if supported is None:
            return f'which does not say what it delivers: it needs supported_types = ("{type}",)'
        if isinstance(supported, str):
            return f'whose supported_types is text, where a sequence should be: ("{supported}",)'
        return (
            ""
            if self.supports_type(type)
            else f"which delivers {', '.join(supported)}, by its supported_types"
        )

    def supports_type(self, media_type: str) -> bool:
        """Say whether the provider delivers this type."""
        return media_type in self.supported_types

    def validate_request(self, request: MediaRequest) -> bool:
        """Say whether the provider takes this request at all."""
        return self.supports_type(request.type)

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Say what the requests would cost in US dollars: `total_cost`, `per_request`, `requests_count`."""
        return {"total_cost": 0.0, "per_request": 0.0, "requests_count": len(requests)}

    def ask_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Say the same as `get_cost_estimate`, having asked the service, where it tells prices for nothing.

        Raises:
            ProviderError: The service cannot be asked.
        """
        return self.get_cost_estimate(requests)

    def _failed(self, error: ProviderError) -> MediaResult:
        error.redact(secret_values(self.config))
        return MediaResult(success=False, error=error.message, failure=error)
