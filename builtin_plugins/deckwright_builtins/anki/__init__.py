"""Hands decks to a running Anki, by its add-on AnkiConnect."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright import (
    AuthenticationError,
    Deck,
    ProviderError,
    ProviderInfo,
    SyncProvider,
    SyncResult,
    TransientError,
    hookimpl,
)
from deckwright.providers.deck import stable_id
from deckwright.providers.sync import WholeDeckProvider
from deckwright.toolkit.http import SAME_OUTPUT, HttpProvider, HttpSettings, Response, Timeout, is_url
from deckwright.toolkit.install_hints import ONLINE_EXTRA
from deckwright_builtins.anki.connection import ADD_ON, VERSION, AnkiConnect, AnkiError, unreachable
from deckwright_builtins.anki.handover import Handover, quoted
from deckwright_builtins.anki.media import media_of
from deckwright_builtins.anki.notes import Existing

_SHOWN = 5  # refused notes in a message
_PAUSE = 0.25  # seconds from one look for an Anki that is just starting to the next


@attrs.define(kw_only=True)
class AnkiSettings(HttpSettings):
    """The settings of `anki`."""

    url: Annotated[str, Meta(description="the address of AnkiConnect")] = attrs.field(
        default="http://127.0.0.1:8765", validator=is_url
    )
    api_key: Annotated[
        str | None,
        Meta(description="the value of the add-on's setting apiKey; leave it unset when that is null"),
    ] = None
    profile: Annotated[
        str | None, Meta(description="deliver only while this profile is open; any profile, when not set")
    ] = None
    deck_name: Annotated[str | None, Meta(description="the deck for builds that name none")] = None
    note_type: Annotated[
        str | None, Meta(description="the note type for all notes; the build's own, when not set")
    ] = None
    update_existing: Annotated[
        bool, Meta(description="update notes that exist already with what the word list says now")
    ] = False
    update_templates: Annotated[
        bool, Meta(description="update the cards and style of a note type that exists already")
    ] = True
    launch_wait_time: Annotated[
        float, Meta(ge=0, description="seconds to wait for Anki while it is starting")
    ] = 0.0
    max_concurrent: Annotated[
        int, Meta(ge=1, description="always 1, even when set: Anki takes one request at a time")
    ] = 1
    # A large import sends nothing until it is done.
    timeout: Timeout = attrs.field(default=120.0, metadata=SAME_OUTPUT)


class Anki(HttpProvider, WholeDeckProvider):
    """Adds and updates notes in the profile that is open in Anki.

    Notes go to Anki in one of two ways. Where Anki can read this machine's files and its note type is ours (or not
    there yet), new ones are imported as a package, which is fastest. Else they are added by themselves.
    """

    config_class = AnkiSettings
    settings: AnkiSettings
    # AnkiConnect closes each connection after its reply, and does not say so.
    reuse_connections = False

    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        # Anki loses requests that come together. Another number may come from settings that are meant for all.
        self.settings = attrs.evolve(self.settings, max_concurrent=1)
        self._anki = AnkiConnect(self._post, self.settings.api_key or None)
        # Two decks at once would each find missing what the other is about to add.
        self._handing_over = threading.Lock()

    @property
    def base_url(self) -> str:
        """Where AnkiConnect is."""
        return self.settings.url.rstrip("/")

    def check_connection(self) -> str:
        """Ask whether Anki is there and lets us in."""
        profile = self._open()
        return f"Anki answers{f', with the profile {profile!r} open' if profile else ''}"

    def _test_connection_impl(self) -> bool:
        self._open()
        return True

    def _sync_deck_impl(self, deck: Deck) -> SyncResult:
        self._open()
        return self._handed_over(deck)

    def _handed_over(self, deck: Deck) -> SyncResult:
        note_type, name = deck.note_type, self.settings.note_type
        if name and name != note_type.name:
            # By its number, Anki would take it for the build's own, and give that this name.
            note_type = attrs.evolve(note_type, name=name, id=stable_id(f"note type {name}"))
        handover = Handover(
            self._anki,
            attrs.evolve(deck, name=self._name_of(deck), note_type=note_type),
            update_existing=self.settings.update_existing,
            update_templates=self.settings.update_templates,
            timeout=self.settings.timeout,
            wait=self.http.wait,
        )
        with self._handing_over:
            outcome = handover.run()
        shown = [*outcome.refused[:_SHOWN], *(["..."] if len(outcome.refused) > _SHOWN else [])]
        return SyncResult(
            success=not outcome.refused,
            processed_count=outcome.there,
            metadata={**attrs.asdict(outcome), "summary": outcome.told},
            error_message="\n".join(["Anki did not take all notes.", *shown]) if outcome.refused else "",
            created_ids=outcome.added,
        )

    def _name_of(self, deck: Deck) -> str:
        configured = self.settings.deck_name
        return deck.name if deck.is_named or not configured else configured

    # Step by step

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        self._open()
        result = SyncResult(success=True, processed_count=0)
        decks = self._decks_of(cards, self.settings.deck_name or "Deckwright")
        for deck in decks:
            handed = self._handed_over(deck)
            result = SyncResult(
                success=result.success and handed.success,
                processed_count=result.processed_count + handed.processed_count,
                metadata=handed.metadata,
                error_message="\n".join(filter(None, [result.error_message, handed.error_message])),
                created_ids=[*(result.created_ids or []), *(handed.created_ids or [])],
            )
        if result.success:
            # Those that no card refers to yet wait for others.
            used = {file for deck in decks for file in media_of(deck.notes, deck.media)}
            self._media = [file for file in self._media if file not in used]
        return result

    def list_existing(self, note_type: str) -> list[dict[str, Any]]:
        """Return the notes of this type: their fields, `tags`, and Anki's number for each as `note_id`."""
        self._open()
        ids = self._anki.call("findNotes", query=f'note:"{quoted(note_type)}"')
        infos = self._anki.call("notesInfo", notes=ids)
        notes = [Existing.from_info(info) for info in infos if info]
        return [{**note.fields, "note_id": note.id, "tags": sorted(note.tags)} for note in notes]

    # The connection

    def _open(self) -> str:
        """Wait, as long as the user allows, until Anki is there and lets us in.

        Returns:
            The profile that is open, where Anki says so.
        """
        http = self.http  # this one, since a request after `close` would open another
        until = time.monotonic() + self.settings.launch_wait_time
        while True:
            try:
                return self._admitted()
            except ProviderError as error:
                if not _may_pass(error) or time.monotonic() >= until or not http.wait(_PAUSE):
                    raise

    def _admitted(self) -> str:
        try:
            permission = self._anki.call("requestPermission")
        except AnkiError:
            raise _too_old() from None
        if not isinstance(permission, Mapping) or permission.get("permission") != "granted":
            raise AuthenticationError(
                "AnkiConnect does not let this program in.", hint="Allow it in the window that Anki shows."
            )
        if int(permission.get("version", VERSION)) < VERSION:
            raise _too_old()
        # Documented in one spelling and answered in the other.
        needs_key = permission.get("requireApiKey") or permission.get("requireApikey")
        if needs_key and not self.settings.api_key:
            raise AuthenticationError(
                "AnkiConnect wants a key, and api_key is not set.",
                hint="Set api_key to what the add-on's setting apiKey says.",
            )
        self._anki.call("deckNames")  # refused while no profile is open
        try:
            profile = self._anki.call("getActiveProfile")
        except AnkiError:
            profile = None  # not every release tells
        wanted = self.settings.profile
        if wanted and profile != wanted:
            is_open = f"has the profile {profile!r} open" if profile else "does not say which profile is open"
            raise ProviderError(
                f"Anki {is_open}, not {wanted!r}.",
                hint="Switch the profile in Anki, under File, or change the setting `profile`.",
            )
        return str(profile or "")

    def _post(self, body: Any, repeatable: bool) -> Response:
        try:
            return self.http.request("POST", self.base_url, json=body, idempotent=repeatable)
        except TransientError as error:
            raise unreachable(self.base_url, error) from None


def _may_pass(error: BaseException) -> bool:
    """Say whether an error is one that an Anki gives which is just starting."""
    return isinstance(error, TransientError) or (isinstance(error, AnkiError) and error.is_early)


def _too_old() -> ProviderError:
    return ProviderError(
        f"The add-on AnkiConnect in Anki is too old: version {VERSION} of its protocol is needed.",
        hint=f"Update it in Anki, under Tools, Add-ons ({ADD_ON}).",
    )


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `anki`."""
    return [
        ProviderInfo(
            "sync",
            "anki",
            "Puts decks into a running Anki, by its add-on AnkiConnect",
            config_class=AnkiSettings,
            extra=ONLINE_EXTRA,
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> SyncProvider | None:
    """Make `anki`."""
    return Anki(config) if (type, name) == ("sync", "anki") else None
