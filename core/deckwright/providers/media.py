"""The contract of providers that make sound and pictures."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import InvalidRequestError, ProviderError
from deckwright.providers.base import Provider
from deckwright.providers.output_settings import output_settings
from deckwright.secrets import secret_values
from deckwright.tracebacks import as_provider_error, format_traceback


def _not_empty(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value.strip():
        raise InvalidRequestError(f"The {attribute.name} of a media request must not be empty.")


@attrs.define
class MediaRequest:
    """A request for one sound or picture.

    Attributes:
        type: The wanted type: `"audio"` or `"image"`.
        content: The word or phrase to speak, or the thing to show.
        params: More about it. A build adds `language` (a BCP 47 tag such as `"es"` or `"pt-BR"`), and `reading` and
            `translation` if the word list has them.
        output_path: The file to write. A build always sets it, with the file ending that it expects.
        id: A UUID that a build gives this request, and remembers if it is killed; empty if there is none.
        requested_before: When the same request was sent before and its result never arrived, if it was. The service may
            have done the work and charged for it. A provider whose service knows should ask it first.

    Raises:
        InvalidRequestError: `type` or `content` is empty; it is a `ValueError`.
    """

    type: str = attrs.field(validator=_not_empty)
    content: str = attrs.field(validator=_not_empty)
    params: dict[str, Any] = attrs.field(factory=dict)
    output_path: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    id: str = ""
    requested_before: datetime | None = None

    @property
    def target(self) -> Path:
        """The file to write, for providers that need one.

        Raises:
            InvalidRequestError: The request has no `output_path`.
        """
        if self.output_path is None:
            raise InvalidRequestError(f"The request for {self.content!r} has no output_path.")
        return self.output_path


@attrs.define
class MediaResult:
    """The result of a request.

    Attributes:
        success: Whether there is a file.
        file_path: The file, if there is one. Its ending shows its format.
        metadata: More about the file; `attribution` is a line of credit.
        error: Why there is no file, in words.
        failure: The same as an error of this package, if the provider gives one.
    """

    success: bool
    file_path: Path | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict)
    error: str | None = None
    failure: ProviderError | None = None


def cost_estimate(per_request: float, requests: Sequence[MediaRequest]) -> dict[str, float]:
    """Return a cost estimate for requests that each cost the same, in US dollars."""
    return {
        "total_cost": per_request * len(requests),
        "per_request": per_request,
        "requests_count": len(requests),
    }


class MediaProvider(Provider, ABC):
    """A source of sound or pictures.

    A subclass sets its types (`supported_types`) and makes the files (`_generate_media_impl`); everything else has a
    default.

    Attributes:
        supported_types: What the provider makes: `("audio",)`. It may be a property.
        at_once: How many requests a build may send to this provider at once; by default, one after the other.
    """

    supported_types: Sequence[str]
    at_once: int = 1

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return everything that decides the result of a request, as values that JSON can hold.

        By default that is everything: the word, its params, and every setting of this provider that is neither a
        secret nor marked as not changing the output. A provider that omits what it does not use makes a build
        generate fewer files again. Like `get_cost_estimate`, it may be called while a file is generated.
        """
        return {"settings": self.output_settings, "content": request.content, "params": request.params}

    @cached_property
    def output_settings(self) -> Mapping[str, Any]:
        """The settings that may change a result: neither secrets, nor settings of the connection to a service."""
        settings = getattr(self, "settings", None)
        return output_settings(settings if attrs.has(type(settings)) else self.config)

    @abstractmethod
    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        """Make the file `request.output_path`.

        Raises:
            ProviderError: One of its subclasses, if that is not possible.
        """

    def generate_media(self, request: MediaRequest) -> MediaResult:
        """Make a file. Errors are in the result; none is raised."""
        try:
            if not self.validate_request(request):
                raise InvalidRequestError(
                    f"{type(self).__name__} makes {', '.join(self.supported_types)}, not {request.type}."
                )
            return self._generate_media_impl(request)
        except ProviderError as error:
            return self._failure(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - third-party code may even exit, or cancel itself
            self.logger.debug("%s", format_traceback(error, secret_values(self.config)))
            return self._failure(as_provider_error(error))

    def generate_batch(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several files; return one result per request, in the same order."""
        return [self.generate_media(request) for request in requests]

    def generate_audio(self, text: str, output_path: str | os.PathLike[str], **params: Any) -> MediaResult:
        """Make the sound of `text`; `params` are those of `MediaRequest`."""
        return self.generate_media(MediaRequest("audio", text, params, Path(output_path)))

    def generate_image(self, prompt: str, output_path: str | os.PathLike[str], **params: Any) -> MediaResult:
        """Make a picture of `prompt`; `params` are those of `MediaRequest`."""
        return self.generate_media(MediaRequest("image", prompt, params, Path(output_path)))

    def unsupported_reason(self, type: str) -> str:
        """Return why this provider cannot make a type; empty if it can."""
        supported = getattr(self, "supported_types", None)
        if supported is None:
            return f'which does not set its types: it needs supported_types = ("{type}",)'
        if isinstance(supported, str):
            return f'whose supported_types is a text instead of a sequence: ("{supported}",)'
        if self.supports_type(type):
            return ""
        return f"whose supported_types are only {', '.join(supported)}"

    def supports_type(self, media_type: str) -> bool:
        """Return whether the provider makes this type."""
        return media_type in self.supported_types

    def validate_request(self, request: MediaRequest) -> bool:
        """Return whether the provider accepts this request."""
        return self.supports_type(request.type)

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Return what the requests would cost in US dollars: `total_cost`, `per_request`, `requests_count`."""
        return cost_estimate(0.0, requests)

    def fetch_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Return the same as `get_cost_estimate`, but from the service itself if it quotes prices for free.

        Raises:
            ProviderError: The service cannot be reached.
        """
        return self.get_cost_estimate(requests)

    def _failure(self, error: ProviderError) -> MediaResult:
        error.redact(secret_values(self.config))
        return MediaResult(success=False, error=error.message, failure=error)
