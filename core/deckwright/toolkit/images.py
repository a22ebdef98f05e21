"""What services that paint pictures share: how they are asked, so that the picture suits a card, and what it costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright.errors import InvalidRequestError, NotFoundError, ProviderError, TransientError
from deckwright.providers.media import MediaRequest
from deckwright.toolkit.http.provider import HttpMediaProvider
from deckwright.toolkit.http.response import Reply, error_for
from deckwright.toolkit.http.settings import SAME_OUTPUT, HttpSettings, Timeout, is_key
from deckwright.toolkit.languages import LANGUAGE_CODES

DEFAULT_PROMPT = (
    "A picture for a vocabulary card that makes clear what {meaning} means. "
    "One simple scene, the subject large and in the middle, plain background, without any writing."
)
_IN_THE_PROMPT = ("prompt", "style")
_LANGUAGE_NAMES = {code: name.title() for name, code in LANGUAGE_CODES.items()}


def _has_known_fields(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    try:
        value.format(meaning="", word="", translation="", language="")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise ValueError("known are {meaning}, {word}, {translation} and {language}") from None


@attrs.define(kw_only=True)
class PaintingSettings(HttpSettings):
    """How pictures are asked for and paid."""

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
        Annotated[
            float, Meta(ge=0, description="US dollars, for estimates; the model's usual price, when not set")
        ]
        | None
    ) = attrs.field(default=None, metadata=SAME_OUTPUT)
    cost_limits: Annotated[
        dict[str, Any],
        Meta(
            description="daily_limit_usd, the most that all builds of a day may spend, and warn_threshold_usd"
        ),
    ] = attrs.field(factory=dict, metadata=SAME_OUTPUT)
    # Making a picture takes time.
    timeout: Timeout = attrs.field(default=180.0, metadata=SAME_OUTPUT)


class PaintingProvider(HttpMediaProvider, ABC):
    """A service that paints a picture for each request, at one price."""

    supported_types = ("image",)

    @abstractmethod
    def _usual_price(self) -> float:
        """Return about what one picture costs, in US dollars, when the user has not said."""

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return the prompt, of which the setting of that name and `style` are parts, and all other settings."""
        settings = {name: value for name, value in self.output_settings.items() if name not in _IN_THE_PROMPT}
        return {"settings": settings, "prompt": prompt_for(request, self.settings)}

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Say what the requests would cost in US dollars: by `cost_per_image`, or else by the usual price."""
        each = self.settings.cost_per_image
        return estimate(self._usual_price() if each is None else each, requests)


def painting_error(reply: Reply, said: str | None = None) -> ProviderError | None:
    """Return the error that a reply stands for, much as `error_for` does.

    Any prompt can be painted, so that a 404 means a wrong setting. And where a good reply cannot be read, its
    picture may be paid for all the same.
    """
    error = error_for(reply, said)
    if isinstance(error, NotFoundError):
        return InvalidRequestError(error.message, hint="Check `base_url` and `model`.")
    if error is None:
        try:
            reply.json()
        except TransientError as unreadable:
            return TransientError(unreadable.message, reply_lost=True)
    return error


def estimate(each: float, requests: Sequence[MediaRequest]) -> dict[str, float]:
    """Return a cost estimate for requests that cost the same each, in US dollars."""
    return {"total_cost": each * len(requests), "per_request": each, "requests_count": len(requests)}


def prompt_for(request: MediaRequest, settings: PaintingSettings) -> str:
    """Return the prompt for a request.

    A build asks for words, with their `language` among the parameters, and the words go into the prompt that is
    configured. What a program asks for without a language is a prompt already.
    """
    text = request.content
    language = str(request.params.get("language") or "")
    if language:
        translation = str(request.params.get("translation") or "")
        name = _LANGUAGE_NAMES.get(language.partition("-")[0].lower(), language)
        meaning = f'the {name} word "{text}"' + (f' (in other words: "{translation}")' if translation else "")
        text = settings.prompt.format(meaning=meaning, word=text, translation=translation, language=name)
    return f"{text} Style: {settings.style}" if settings.style else text
