"""Pictures painted by OpenAI's image models, or by a server that speaks the same protocol; needs a key.

The endpoint is `POST /images/generations`, as OpenAI's API reference and its own Python client describe it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

import attrs
from msgspec import Meta

from deckwright import (
    AuthenticationError,
    BadMediaError,
    ContentPolicyError,
    InvalidRequestError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderError,
    ProviderInfo,
    QuotaError,
    SettingError,
    Traits,
    TransientError,
    hookimpl,
)
from deckwright.config.settings import did_you_mean
from deckwright.toolkit.http import SAME_OUTPUT, Reply, is_url
from deckwright.toolkit.images import PaintingProvider, PaintingSettings, painting_error, prompt_for
from deckwright.toolkit.install_hints import ONLINE_EXTRA
from deckwright.toolkit.media_format import write_media

DEFAULT_MODEL = "gpt-image-2.6-sunburst"
# Models, and when they were or will be shut down: from OpenAI's page on deprecations and its Python client 3.54.
_SHUT_DOWN = {
    "dall-e-2": date(2026, 5, 12),
    "dall-e-3": date(2026, 5, 12),
    "gpt-image-1": date(2026, 10, 23),
    "gpt-image-1-mini": date(2026, 12, 1),
    "gpt-image-1.5": date(2026, 12, 1),
    "chatgpt-image-latest": date(2026, 12, 1),
}
# What the retired models called their qualities.
_FORMER_QUALITIES = {"standard": "medium", "hd": "high"}
# US dollars for a million tokens of text and pictures that go in, and of pictures that come out: from the page of
# the model. Of other models they were not found.
_TOKEN_PRICES = {DEFAULT_MODEL: {"text_input": 5.0, "image_input": 8.0, "output": 30.0}}
# US dollars for 1024 x 1024 pixels, to go by before anything is known: of gpt-image-2, as third parties tell it.
_PRICE_BY_QUALITY = {"low": 0.006, "medium": 0.053, "high": 0.211}
_USUAL_PIXELS = 1024 * 1024
_PRICED = ("text_input", "image_input", "output")
_QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


def _is_size(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    parts = value.split("x")
    if value != "auto" and not (len(parts) == 2 and all(part.isdecimal() for part in parts)):
        raise ValueError('a size is "auto" or like "1024x1024"')


def _are_prices(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
    numbers = all(isinstance(price, (int, float)) and price >= 0 for price in value.values())
    if not (numbers and set(value) <= set(_PRICED)):
        raise ValueError(f"prices are numbers, of {', '.join(_PRICED)}")


@attrs.define(kw_only=True)
class OpenAISettings(PaintingSettings):
    """What is painted, by which model."""

    base_url: Annotated[
        str, Meta(description="the address of the service, or of another one with the same protocol")
    ] = attrs.field(default="https://api.openai.com/v1", validator=is_url)
    model: Annotated[str, Meta(min_length=1, description="any model of the service that makes pictures")] = (
        DEFAULT_MODEL
    )
    size: Annotated[str, Meta(description="pixels, such as 1536x1024, or auto")] = attrs.field(
        default="1024x1024", validator=_is_size
    )
    width: Annotated[int, Meta(gt=0, description="with height, the same as size")] | None = None
    height: Annotated[int, Meta(gt=0, description="with width, the same as size")] | None = None
    quality: Annotated[str, Meta(description="low, medium, high, xhigh, max or auto")] = "low"
    output_format: Annotated[Literal["jpeg", "png", "webp"], Meta(description="the kind of file")] = "jpeg"
    output_compression: Annotated[
        int,
        Meta(ge=0, le=100, description="for jpeg and webp; a higher number is a better and larger picture"),
    ] = 80
    background: Annotated[
        Literal["transparent", "opaque", "auto"] | None, Meta(description="what is behind the subject")
    ] = None
    moderation: Annotated[
        Literal["low", "auto"] | None, Meta(description="how strictly requests are checked")
    ] = None
    usage_prices: Annotated[
        dict[str, Any] | None,
        Meta(description="US dollars for a million tokens: text_input, image_input and output"),
    ] = attrs.field(default=None, validator=attrs.validators.optional(_are_prices), metadata=SAME_OUTPUT)


class OpenAI(PaintingProvider):
    """Has a picture painted for each request."""

    config_class = OpenAISettings
    settings: OpenAISettings

    def _setup_from_config(self) -> None:
        settings = self.settings
        if (settings.width is None) != (settings.height is None):
            key = "height" if settings.height is None else "width"
            raise SettingError(key, "is missing; width and height go together")
        self._size = f"{settings.width}x{settings.height}" if settings.width else settings.size
        self._quality = _FORMER_QUALITIES.get(settings.quality, settings.quality)
        self.warnings = list(self._remarks())

    def _remarks(self) -> Iterator[str]:
        ends = _SHUT_DOWN.get(self.settings.model)
        if ends:
            gone = "was" if ends <= date.today() else "will be"
            yield (
                f"the model {self.settings.model} {gone} shut down on {ends}; use {DEFAULT_MODEL}, for instance."
            )
        if self._quality != self.settings.quality:
            yield (
                f"the quality {self.settings.quality!r} is of retired models; {self._quality!r} is asked for."
            )

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.settings.api_key}"}

    def check_connection(self) -> str:
        """Ask for the list of models, which costs nothing."""
        model = self.settings.model
        try:
            models = self.http.request("GET", f"{self.base_url}/models").json()["data"]
            known = {str(entry["id"]): entry for entry in models}
        except (KeyError, TypeError):
            return "it answers, and does not tell its models"
        except InvalidRequestError as error:
            if error.hint:  # nothing is at that address
                raise
            return "it answers, and does not tell its models"
        if model not in known:
            near = did_you_mean(model, known)
            raise NotFoundError(f"the key is accepted, and there is no model {model!r} for it{near or '.'}")
        shut_down = known[model].get("shutdown_date")
        return f"the key is accepted, and {model} is there" + (f" until {shut_down}" if shut_down else "")

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        target, prompt = request.target, prompt_for(request, self.settings)
        body = {
            "model": self.settings.model,
            "prompt": prompt,
            "n": 1,
            "size": self._size,
            "quality": self._quality,
            "output_format": self.settings.output_format,
            "output_compression": self._compression,
            "background": self.settings.background,
            "moderation": self.settings.moderation,
        }
        # A picture whose reply was lost may have been paid for, and there is no way to ask for it again.
        reply = self.http.request(
            "POST",
            f"{self.base_url}/images/generations",
            json={name: value for name, value in body.items() if value is not None},
            idempotent=False,
        )
        answer = reply.json()
        try:
            [picture, *_] = answer["data"]
            encoded, url = picture.get("b64_json"), picture.get("url")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ProviderError("The answer has no picture in it.") from None
        if encoded:
            path = write_media(_decoded(encoded), target, "image")
        elif url:  # servers of others may give a link
            path = self.http.download(str(url), target, "image")
        else:
            raise BadMediaError("The answer has no picture in it.")
        usage = answer.get("usage") or {}
        return MediaResult(
            True,
            path,
            {
                "prompt": prompt,
                "model": self.settings.model,
                "size": answer.get("size", self._size),
                "quality": answer.get("quality", self._quality),
                "usage": usage,
                "cost": self._cost(usage),
                "request_id": reply.headers.get("x-request-id"),
            },
        )

    @property
    def _compression(self) -> int | None:
        return None if self.settings.output_format == "png" else self.settings.output_compression

    def _usual_price(self) -> float:
        """Return what a picture of gpt-image-2 costs; what is not known is taken for dear."""
        width, _, height = self._size.partition("x")
        pixels = int(width) * int(height) if height else _USUAL_PIXELS
        price = _PRICE_BY_QUALITY.get(self._quality, _PRICE_BY_QUALITY["high"])
        return price * pixels / _USUAL_PIXELS

    def _cost(self, usage: dict[str, Any]) -> float | None:
        """Return what was charged, by the tokens used; None where their prices are not known."""
        prices = self.settings.usage_prices or _TOKEN_PRICES.get(self.settings.model)
        if prices is None:
            return self.settings.cost_per_image
        try:
            details = usage.get("input_tokens_details") or {}
            used = {
                "text_input": details.get("text_tokens", usage.get("input_tokens", 0)),
                "image_input": details.get("image_tokens", 0),
                "output": usage["output_tokens"],
            }
            return float(sum(used[name] * price for name, price in prices.items())) / 1_000_000
        except (AttributeError, KeyError, TypeError, ValueError):  # nothing known to reckon with
            return self.settings.cost_per_image

    def _explain(self, reply: Reply) -> ProviderError | None:
        if reply.status < 400:
            return painting_error(reply)
        try:
            error = reply.json()["error"]
            code, said = str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")
        except (TransientError, KeyError, TypeError, AttributeError):
            return painting_error(reply)
        number = reply.headers.get("x-request-id")
        message = f"{said or code} ({code or reply.status}{f', request {number}' if number else ''})"
        if code in _QUOTA_CODES:
            return QuotaError(message, hint="Add money on the account's billing page, or raise its limit.")
        if code == "model_not_found":
            return AuthenticationError(
                message, hint=f"Set `model` to one that your key may use, such as {DEFAULT_MODEL}."
            )
        if "moderation" in code or "content_policy" in code or "safety" in code:
            return ContentPolicyError(
                message, hint="Reword the prompt, or leave this word without a picture."
            )
        if reply.status == 409:  # two requests at cross purposes, as the official client takes it
            return TransientError(message)
        return painting_error(reply, message)


def _decoded(encoded: object) -> bytes:
    try:
        return base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError):
        raise BadMediaError("The answer's picture is not well-formed base64.") from None


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `openai`."""
    return [
        ProviderInfo(
            "image",
            "openai",
            "Pictures painted by OpenAI's models, or servers like it; needs a key and costs money",
            config_class=OpenAISettings,
            extra=ONLINE_EXTRA,
            traits=Traits(requests_per_item=1),
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `openai`."""
    return OpenAI(config) if (type, name) == ("image", "openai") else None
