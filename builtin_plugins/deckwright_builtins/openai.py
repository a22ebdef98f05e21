"""Pictures by OpenAI's image models, or by a server with the same API; needs a key.

The endpoint is `POST /images/generations`, as documented in OpenAI's API reference and its Python client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
from msgspec import Meta

from deckwright import MediaProvider, MediaRequest, MediaResult, ProviderInfo, Traits, errors, hookimpl
from deckwright.config.settings import did_you_mean
from deckwright.toolkit.http import Response, is_url, same_output
from deckwright.toolkit.images import (
    ImageGenerationProvider,
    ImageGenerationSettings,
    content_policy_error,
    decode_image,
    image_error_for,
    prompt_for,
)
from deckwright.toolkit.install_hints import ONLINE_EXTRA
from deckwright.toolkit.media_format import write_media

DEFAULT_MODEL = "gpt-image-2.6-sunburst"
# When models are shut down: from OpenAI's deprecations page and its Python client 3.54.
_SHUT_DOWN = {
    "dall-e-2": date(2026, 5, 12),
    "dall-e-3": date(2026, 5, 12),
    "gpt-image-1": date(2026, 10, 23),
    "gpt-image-1-mini": date(2026, 12, 1),
    "gpt-image-1.5": date(2026, 12, 1),
    "chatgpt-image-latest": date(2026, 12, 1),
}
# The names of qualities for retired models.
_OLD_QUALITIES = {"standard": "medium", "hd": "high"}
# US dollars for a million tokens of text and pictures in the request, and of pictures in the response: from the page of
# the model. The prices of other models are not known.
_TOKEN_PRICES = {DEFAULT_MODEL: {"text_input": 5.0, "image_input": 8.0, "output": 30.0}}
# Estimates in US dollars for 1024 x 1024 pixels: of gpt-image-2, from third parties.
_PRICE_BY_QUALITY = {"low": 0.006, "medium": 0.053, "high": 0.211}
_USUAL_PIXELS = 1024 * 1024
_TOKEN_KINDS = ("text_input", "image_input", "output")
_QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


def _is_size(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    parts = value.split("x")
    if value != "auto" and not (len(parts) == 2 and all(part.isdecimal() for part in parts)):
        raise ValueError('a size is "auto" or like "1024x1024"')


def _are_prices(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
    numbers = all(isinstance(price, (int, float)) and price >= 0 for price in value.values())
    if not (numbers and set(value) <= set(_TOKEN_KINDS)):
        raise ValueError(f"prices are numbers, of {', '.join(_TOKEN_KINDS)}")


@attrs.define(kw_only=True)
class OpenAISettings(ImageGenerationSettings):
    """The settings of `openai`."""

    base_url: Annotated[
        str, Meta(description="the address of the service, or of another one with the same protocol")
    ] = attrs.field(default="https://api.openai.com/v1", validator=is_url)
    model: Annotated[str, Meta(min_length=1, description="a model that makes pictures")] = DEFAULT_MODEL
    size: Annotated[str, Meta(description="pixels, such as 1536x1024, or auto")] = attrs.field(
        default="1024x1024", validator=_is_size
    )
    width: Annotated[int, Meta(gt=0, description="with height, the same as size")] | None = None
    height: Annotated[int, Meta(gt=0, description="with width, the same as size")] | None = None
    quality: Annotated[str, Meta(description="low, medium, high, xhigh, max or auto")] = "low"
    output_format: Annotated[Literal["jpeg", "png", "webp"], Meta(description="the kind of file")] = "jpeg"
    output_compression: Annotated[
        int, Meta(ge=0, le=100, description="for jpeg and webp; higher is better, and larger")
    ] = 80
    background: Annotated[
        Literal["transparent", "opaque", "auto"] | None, Meta(description="what is behind the subject")
    ] = None
    moderation: Annotated[Literal["low", "auto"] | None, Meta(description="how strict the check is")] = None
    usage_prices: Annotated[
        dict[str, Any] | None,
        Meta(description="US dollars for a million tokens: text_input, image_input and output"),
    ] = same_output(None, validator=attrs.validators.optional(_are_prices))


class OpenAI(ImageGenerationProvider):
    """Generates a picture for each request."""

    config_class = OpenAISettings
    settings: OpenAISettings

    def _setup_from_config(self) -> None:
        settings = self.settings
        if (settings.width is None) != (settings.height is None):
            key = "height" if settings.height is None else "width"
            raise errors.SettingError(key, "is missing; width and height go together")
        self._size = f"{settings.width}x{settings.height}" if settings.width else settings.size
        self._quality = _OLD_QUALITIES.get(settings.quality, settings.quality)
        self.warnings = list(self._find_warnings())

    def _find_warnings(self) -> Iterator[str]:
        model, quality = self.settings.model, self.settings.quality
        if shut_down := _SHUT_DOWN.get(model):
            verb = "was" if shut_down <= date.today() else "will be"
            yield f"the model {model} {verb} shut down on {shut_down}; use another one, such as {DEFAULT_MODEL}."
        if self._quality != quality:
            yield f"the quality {quality!r} belongs to retired models; {self._quality!r} is used instead."

    def check_connection(self) -> str:
        """Get the list of models, which is free."""
        model = self.settings.model
        try:
            models = self.http.request("GET", f"{self.base_url}/models").json()["data"]
            known = {str(entry["id"]): entry for entry in models}
        except (KeyError, TypeError):
            return "the service answers, but does not list its models"
        except errors.InvalidRequestError as error:
            if error.hint:  # there is nothing at this address
                raise
            return "the service answers, but does not list its models"
        if model not in known:
            near = did_you_mean(model, known)
            raise errors.NotFoundError(
                f"the key is accepted, but it cannot use a model {model!r}{near or '.'}"
            )
        shut_down = known[model].get("shutdown_date")
        return f"the key is accepted, and {model} is available" + (f" until {shut_down}" if shut_down else "")

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        target, prompt = request.target, prompt_for(request, self.settings)
        # If the response is lost, the picture may have been charged, and it cannot be requested again.
        response = self.http.request(
            "POST", f"{self.base_url}/images/generations", json=self._body(prompt), idempotent=False
        )
        answer = response.json()
        path = self._save_picture(answer, target)
        usage = answer.get("usage") or {}
        metadata = {
            "prompt": prompt,
            "model": self.settings.model,
            "size": answer.get("size", self._size),
            "quality": answer.get("quality", self._quality),
            "usage": usage,
            "cost": self._cost(usage),
            "request_id": response.headers.get("x-request-id"),
        }
        return MediaResult(True, path, metadata)

    def _body(self, prompt: str) -> dict[str, Any]:
        settings = self.settings
        body = {
            "model": settings.model,
            "prompt": prompt,
            "n": 1,
            "size": self._size,
            "quality": self._quality,
            "output_format": settings.output_format,
            "output_compression": None if settings.output_format == "png" else settings.output_compression,
            "background": settings.background,
            "moderation": settings.moderation,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _save_picture(self, answer: Any, target: Path) -> Path:
        try:
            [picture, *_] = answer["data"]
            encoded, url = picture.get("b64_json"), picture.get("url")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise errors.ProviderError("The response has no picture.") from None
        if encoded:
            return write_media(decode_image(encoded), target, "image")
        if url:  # other servers may send a link
            return self.http.download(str(url), target, "image")
        raise errors.BadMediaError("The response has no picture.")

    def _usual_price(self) -> float:
        """Return the price of a picture by gpt-image-2; an unknown quality counts as high."""
        width, _, height = self._size.partition("x")
        pixels = int(width) * int(height) if height else _USUAL_PIXELS
        price = _PRICE_BY_QUALITY.get(self._quality, _PRICE_BY_QUALITY["high"])
        return price * pixels / _USUAL_PIXELS

    def _cost(self, usage: dict[str, Any]) -> float | None:
        """Return the cost of the used tokens; None if their prices are not known."""
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
        except (AttributeError, KeyError, TypeError, ValueError):  # the usage is not known
            return self.settings.cost_per_image

    def _error_for(self, response: Response) -> errors.ProviderError | None:
        if response.status < 400:
            return image_error_for(response)
        try:
            error = response.json()["error"]
            code, text = str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")
        except (errors.TransientError, KeyError, TypeError, AttributeError):
            return image_error_for(response)
        number = response.headers.get("x-request-id")
        message = f"{text or code} ({code or response.status}{f', request {number}' if number else ''})"
        if code in _QUOTA_CODES:
            return errors.QuotaError(
                message, hint="Add money on the billing page of the account, or raise its limit."
            )
        if code == "model_not_found":
            return errors.AuthenticationError(
                message, hint=f"Set `model` to one that the key may use, such as {DEFAULT_MODEL}."
            )
        if "moderation" in code or "content_policy" in code or "safety" in code:
            return content_policy_error(message)
        if response.status == 409:  # a conflict of two requests; the official client retries it too
            return errors.TransientError(message)
        return image_error_for(response, message)


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `openai`."""
    summary = "Pictures by OpenAI's models, or by similar servers; needs a key and costs money"
    traits = Traits(requests_per_item=1)
    return [ProviderInfo("image", "openai", summary, OpenAISettings, ONLINE_EXTRA, traits)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `openai`."""
    return OpenAI(config) if (type, name) == ("image", "openai") else None
