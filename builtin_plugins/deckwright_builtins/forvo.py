"""Words spoken by people: the pronunciations of forvo.com.

You need a key of your own. By Forvo's terms of use, a word counts as two requests (one to find it, one to download it),
downloads are not stored for other uses, and speakers are credited.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal
from urllib.parse import quote

import attrs
from msgspec import Meta

from deckwright import MediaProvider, MediaRequest, MediaResult, ProviderInfo, Traits, errors, hookimpl
from deckwright.config.settings import did_you_mean
from deckwright.providers.media import cost_estimate
from deckwright.toolkit.http import (
    HttpMediaProvider,
    HttpSettings,
    Response,
    error_for,
    is_key,
    is_url,
    same_output,
)
from deckwright.toolkit.install_hints import ONLINE_EXTRA, missing_dependency

CREDIT = "Pronunciations by Forvo (forvo.com)"
# Each plan has its own host, and a key only works there.
_HOSTS = {
    "free": "https://apifree.forvo.com",
    "commercial": "https://apicommercial.forvo.com",
    "corporate": "https://apicorporate.forvo.com/api2/v1.1",
}
# Forvo's own codes; for all other languages it uses the ISO 639 codes of BCP 47 tags.
_LANGUAGES = {"nb": "no", "fil": "tl", "cmn": "zh"}
# Forvo's names of countries that pycountry does not know.
_COUNTRY_NAMES = {
    "brunei": "BRN",
    "burma": "MMR",
    "cape verde": "CPV",
    "cote d'ivoire": "CIV",
    "democratic republic of the congo": "COD",
    "east timor": "TLS",
    "ivory coast": "CIV",
    "kosovo": "XKX",
    "macau": "MAC",
    "macedonia": "MKD",
    "micronesia": "FSM",
    "palestine": "PSE",
    "russia": "RUS",
    "swaziland": "SWZ",
    "turkey": "TUR",
    "uk": "GBR",
    "vatican city": "VAT",
}
_RESET_HOUR = 22  # UTC; reported by users


@attrs.define(kw_only=True)
class ForvoSettings(HttpSettings):
    """The settings of `forvo`."""

    api_key: Annotated[str, Meta(description="the key of your Forvo plan")] = attrs.field(validator=is_key)
    plan: Annotated[
        Literal["free", "commercial", "corporate"],
        Meta(description="the plan that you pay for; a key works for its own plan only"),
    ] = same_output("free")
    base_url: Annotated[
        str | None, Meta(description="the address of Forvo; that of the plan, when not set")
    ] = same_output(None, validator=attrs.validators.optional(is_url))
    usernames: Annotated[list[str], Meta(description="preferred speakers, best first")] = attrs.Factory(list)
    country_priorities: Annotated[
        list[str], Meta(description='preferred countries, best first: "MX", "MEX" or "Mexico"')
    ] = attrs.Factory(list)
    priority_groups: Annotated[
        list[list[str]],
        Meta(description="groups of countries to prefer over the others; within a group, votes decide"),
    ] = attrs.Factory(list)
    sex: Annotated[Literal["m", "f"] | None, Meta(description="only men (m) or women (f)")] = None
    audio_format: Annotated[
        Literal["mp3", "ogg"], Meta(description="mp3 plays on every device; ogg does not on iPhones")
    ] = "mp3"


class Forvo(HttpMediaProvider):
    """Downloads the best pronunciation of a word: by speaker, then by country, then by votes."""

    config_class = ForvoSettings
    settings: ForvoSettings
    supported_types = ("audio",)

    def _setup_from_config(self) -> None:
        settings = self.settings
        groups = [("priority_groups", group) for group in settings.priority_groups]
        groups += [("country_priorities", [country]) for country in settings.country_priorities]
        # The number of each country's group.
        self._groups: dict[str, int] = {}
        for number, (key, group) in enumerate(groups):
            for country in group:
                code = country_code(country)
                if code is None:
                    raise errors.SettingError(
                        key,
                        f"{country!r} is not a country{near_country(country) or '.'}",
                        hint='Write an ISO 3166 code or an English name: "MX", "MEX", "Mexico".',
                    )
                self._groups.setdefault(code, number)

    @property
    def base_url(self) -> str:
        """The address of Forvo."""
        return (self.settings.base_url or _HOSTS[self.settings.plan]).rstrip("/")

    def check_connection(self) -> str:
        """Look up one word, which counts as one request of the day."""
        self._items("hello", "en", limit=1)
        return "the key is accepted (this used one request of your plan)"

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return what is looked up: the word, its language, and the country that the language tag prefers."""
        word, language, region = self._query(request)
        return {"settings": self.output_settings, "word": word, "language": language, "region": region}

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Return a cost of zero: a plan is paid by the month."""
        return cost_estimate(0.0, requests)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        word, language, region = self._query(request)
        # Only dots would be a step within the address.
        found = self._items(word, language) if word.strip(".") else []
        items = [item for item in found if isinstance(item, dict)]
        if not items:
            raise errors.NotFoundError(f"Forvo has no pronunciation of {word!r}.")
        best = max(items, key=lambda item: self._rank(item, region))
        url = best.get(f"path{self.settings.audio_format}")
        if not isinstance(url, str) or not url:
            raise errors.BadMediaError(f"Forvo has no {self.settings.audio_format} file of {word!r}.")
        path = self.http.download(url, request.target, "audio")
        speaker, country = str(best.get("username") or "someone"), str(best.get("country") or "")
        metadata = {
            "word": word,
            "language": language,
            "country": country,
            "username": speaker,
            "votes": _number(best.get("num_positive_votes")),
            "rate": _number(best.get("rate")),
            "id": best.get("id"),
            "attribution": f"Pronounced by {speaker}{f' ({country})' if country else ''}. {CREDIT}",
        }
        return MediaResult(True, path, metadata)

    def _query(self, request: MediaRequest) -> tuple[str, str, str]:
        """Return the word, Forvo's code of its language, and the country to prefer if the settings name none."""
        word = unicodedata.normalize("NFC", " ".join(request.content.split()))
        language, *subtags = str(request.params.get("language") or "").replace("_", "-").lower().split("-")
        region = next((subtag for subtag in subtags if len(subtag) == 2), "")
        return word, _LANGUAGES.get(language, language), "" if self._groups else region

    def _items(self, word: str, language: str, limit: int | None = None) -> list[Any]:
        """Return the pronunciations of a word."""
        pairs = {"word": word, "language": language, "sex": self.settings.sex, "limit": limit}
        path = "/".join(f"{name}/{quote(str(value), safe='')}" for name, value in pairs.items() if value)
        key = quote(self.settings.api_key, safe="")
        if self.settings.plan == "corporate" or "/api2/" in f"{self.base_url}/":
            url = f"{self.base_url}/{key}/word-pronunciations/{path}"
        else:
            url = f"{self.base_url}/key/{key}/format/json/action/word-pronunciations/{path}"
        answer = self.http.request("GET", url).json()
        if isinstance(answer, dict) and isinstance(answer.get("data"), dict):
            answer = answer["data"]  # the corporate plan
        items = answer.get("items", []) if isinstance(answer, dict) else None
        if not isinstance(items, list):
            raise errors.ProviderError("Forvo sent a response in an unknown form.")
        return items

    def _rank(self, item: dict[str, Any], region: str) -> tuple[int, int, int, int]:
        """Return how good a pronunciation is: by speaker, country, votes and rating; more is better."""
        names = self.settings.usernames
        username = item.get("username")
        speaker = len(names) - names.index(username) if username in names else 0
        groups = self._groups or ({code: 0} if region and (code := country_code(region)) else {})
        group = groups.get(country_code(str(item.get("country") or "")) or "") if groups else None
        country = 0 if group is None else 1 + max(groups.values()) - group
        return speaker, country, _number(item.get("num_positive_votes")), _number(item.get("rate"))

    def _error_for(self, response: Response) -> errors.ProviderError | None:
        """Return Forvo's errors, which are lists of one text with any status."""
        if response.content.lstrip().startswith(b"[") and (texts := response.json()):
            return _error(" ".join(map(str, texts)), response)
        if response.status in (301, 302, 303, 307, 308, 403, 404):
            # For unknown words Forvo may send an error page that it refuses to programs.
            return errors.NotFoundError(
                f"Forvo does not know this word, or blocks this program (status {response.status})."
            )
        error = error_for(response)
        if error is None:
            response.json()  # raises if it is the page of a gateway
        return error


@functools.cache
def country_code(text: str) -> str | None:
    """Return the ISO 3166 alpha-3 code of a country from any of its codes or its English name; None if unknown.

    Raises:
        MissingDependencyError: pycountry is not installed.
    """
    text = text.strip()
    if not text:
        return None
    try:
        import pycountry

        return str(pycountry.countries.lookup(text).alpha_3)
    except ImportError as error:
        raise missing_dependency("Countries need the package pycountry", error, ONLINE_EXTRA) from error
    except LookupError:
        return _COUNTRY_NAMES.get(text.lower())


def near_country(text: str) -> str:
    """Return a suggestion for a country that is unknown."""
    import pycountry

    return did_you_mean(text.title(), [country.name for country in pycountry.countries])


def next_reset(now: datetime) -> datetime:
    """Return when Forvo allows new requests: at 22:00 UTC."""
    today = now.astimezone(timezone.utc).replace(hour=_RESET_HOUR, minute=0, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _error(message: str, response: Response) -> errors.ProviderError:
    if "limit/day" in message.lower():
        resets_at = next_reset(datetime.now(timezone.utc))
        return errors.QuotaError(
            f"Forvo's requests for today are used up ({message}).",
            resets_at=resets_at,
            hint=f"More requests are allowed from {resets_at:%H:%M} UTC.",
        )
    if "incorrect domain" in message.lower():
        return errors.AuthenticationError(
            f"Forvo refuses the key ({message}).",
            hint="Check api_key, and set `plan` to the plan of the key.",
        )
    if response.status == 429:
        return errors.RateLimitedError(
            f"Forvo asks for a pause ({message}).", retry_after=response.retry_after
        )
    return errors.InvalidRequestError(f"Forvo refuses the request ({message}).")


def _number(value: Any) -> int:
    """Return a number that Forvo may send as text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `forvo`."""
    summary = "Words spoken by people, from forvo.com; needs a key"
    traits = Traits(attribution=CREDIT, requests_per_item=2, cacheable=False)
    return [ProviderInfo("audio", "forvo", summary, ForvoSettings, ONLINE_EXTRA, traits)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `forvo`."""
    return Forvo(config) if (type, name) == ("audio", "forvo") else None
