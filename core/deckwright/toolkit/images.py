"""Base classes for services that generate pictures: the prompt, the price, and their errors."""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright import errors
from deckwright.providers.media import MediaRequest, cost_estimate
from deckwright.toolkit.http.provider import HttpMediaProvider
from deckwright.toolkit.http.response import Response, error_for
from deckwright.toolkit.http.settings import HttpSettings, Timeout, is_key, same_output
from deckwright.toolkit.languages import language_codes

DEFAULT_PROMPT = (
    "A picture for a vocabulary card that makes clear what {meaning} means. "
    "One simple scene, the subject large and in the middle, plain background, without any writing."
)
_PROMPT_SETTINGS = ("prompt", "style")


def _has_known_fields(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    try:
        value.format(meaning="", word="", translation="", language="")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise ValueError("known are {meaning}, {word}, {translation} and {language}") from None


@attrs.define(kw_only=True)
class ImageGenerationSettings(HttpSettings):
    """The key, the prompt and the price of pictures."""

    api_key: Annotated[str, Meta(description="your key")] = attrs.field(validator=is_key)
    prompt: Annotated[
        str,
        Meta(
            description="the text sent to the service; {meaning} is the word with its language and translation, "
            "{word}, {translation} and {language} its parts"
        ),
    ] = attrs.field(default=DEFAULT_PROMPT, validator=_has_known_fields)
    style: Annotated[str, Meta(description="what all pictures should look like")] = ""
    cost_per_image: (
        Annotated[float, Meta(ge=0, description="US dollars, for estimates; usual price, when not set")]
        | None
    ) = same_output(None)
    cost_limits: Annotated[
        dict[str, Any],
        Meta(description="daily_limit_usd, for all builds of a day together, and warn_threshold_usd"),
    ] = same_output(attrs.Factory(dict))
    # Making a picture takes time.
    timeout: Timeout = same_output(180.0)


class ImageGenerationProvider(HttpMediaProvider, ABC):
    """A service that generates a picture for each request, at one price."""

    supported_types = ("image",)

    @abstractmethod
    def _usual_price(self) -> float:
        """Return about what one picture costs, in US dollars; used if the user did not set `cost_per_image`."""

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.settings.api_key}"}

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return the prompt, which includes the settings `prompt` and `style`, and all other settings."""
        settings = {key: value for key, value in self.output_settings.items() if key not in _PROMPT_SETTINGS}
        return {"settings": settings, "prompt": prompt_for(request, self.settings)}

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Return what the requests would cost in US dollars, by `cost_per_image` or else by the usual price."""
        price = self.settings.cost_per_image
        return cost_estimate(self._usual_price() if price is None else price, requests)


def image_error_for(response: Response, message: str | None = None) -> errors.ProviderError | None:
    """Return the error that a response stands for; like `error_for`, with two differences.

    There is a picture for every prompt, so a 404 means a wrong setting. And if a successful response cannot be read,
    its picture may be charged anyway.
    """
    error = error_for(response, message)
    if isinstance(error, errors.NotFoundError):
        return errors.InvalidRequestError(error.message, hint="Check `base_url` and `model`.")
    if error is None:
        try:
            response.json()
        except errors.TransientError as unreadable:
            return errors.TransientError(unreadable.message, reply_lost=True)
    return error


def content_policy_error(message: str) -> errors.ContentPolicyError:
    """Return the error of a service that refuses a prompt."""
    return errors.ContentPolicyError(message, hint="Change the prompt, or make this card without a picture.")


def decode_image(encoded: object) -> bytes:
    """Return a picture from base64 text; raise `BadMediaError` if it is not base64."""
    try:
        return base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError):
        raise errors.BadMediaError("The picture in the response is not valid base64.") from None


def prompt_for(request: MediaRequest, settings: ImageGenerationSettings) -> str:
    """Return the prompt for a request.

    A build requests words, with their `language` among the params; they are put into the configured prompt. The content
    of a request without a language is already a prompt.
    """
    text = request.content
    language = str(request.params.get("language") or "")
    if language:
        translation = str(request.params.get("translation") or "")
        names = {code: name.title() for name, code in language_codes().items()}
        name = names.get(language.partition("-")[0].lower(), language)
        meaning = f'the {name} word "{text}"' + (f' (in other words: "{translation}")' if translation else "")
        text = settings.prompt.format(meaning=meaning, word=text, translation=translation, language=name)
    return f"{text} Style: {settings.style}" if settings.style else text
