"""Adds decks to a running Anki, through its add-on AnkiConnect."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright import Deck, ProviderInfo, SyncProvider, SyncResult, errors, hookimpl
from deckwright.providers.deck import stable_id
from deckwright.providers.sync import WholeDeckProvider
from deckwright.toolkit.http import HttpProvider, HttpSettings, Response, Timeout, is_url, same_output
from deckwright.toolkit.install_hints import ONLINE_EXTRA
from deckwright_builtins.anki.anki_deck import quoted
from deckwright_builtins.anki.connection import ADD_ON, VERSION, AnkiConnect, AnkiError, unreachable
from deckwright_builtins.anki.delivery import Delivery
from deckwright_builtins.anki.media import media_of
from deckwright_builtins.anki.notes import ExistingNote

_MAX_SHOWN = 5  # refused notes in a message
_PAUSE = 0.25  # seconds between two tries to reach an Anki that is starting


@attrs.define(kw_only=True)
class AnkiSettings(HttpSettings):
    """The settings of `anki`."""

    url: Annotated[str, Meta(description="the address of AnkiConnect")] = attrs.field(
        default="http://127.0.0.1:8765", validator=is_url
    )
    api_key: Annotated[str | None, Meta(description="the add-on's apiKey, unless that is null")] = None
    profile: Annotated[str | None, Meta(description="the only profile to deliver to, when set")] = None
    deck_name: Annotated[str | None, Meta(description="the deck for builds that name none")] = None
    note_type: Annotated[str | None, Meta(description="the note type for all notes, when set")] = None
    update_existing: Annotated[bool, Meta(description="update existing notes from the word list")] = False
    update_templates: Annotated[bool, Meta(description="update existing cards and style")] = True
    launch_wait_time: Annotated[float, Meta(ge=0, description="seconds to wait for a starting Anki")] = 0.0
    max_concurrent: Annotated[int, Meta(ge=1, description="always 1: Anki needs one after the other")] = 1
    # A large import sends nothing until it is done.
    timeout: Timeout = same_output(120.0)


class Anki(HttpProvider, WholeDeckProvider):
    """Adds and updates notes in the profile that is open in Anki.

    If Anki can read this machine's files, and its note type is ours or does not exist yet, new notes are imported as a
    package, which is fastest. Otherwise they are added one by one.
    """

    config_class = AnkiSettings
    settings: AnkiSettings
    # AnkiConnect silently closes each connection after its response.
    reuse_connections = False

    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        # Anki loses requests that come together. Shared settings may have another number.
        self.settings = attrs.evolve(self.settings, max_concurrent=1)
        self._anki = AnkiConnect(self._post, self.settings.api_key or None)
        # Two deliveries at once would add the same notes twice.
        self._delivery_lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The address of AnkiConnect."""
        return self.settings.url.rstrip("/")

    def check_connection(self) -> str:
        """Check whether Anki is running and accepts this program."""
        profile = self._connect()
        return f"Anki answers{f', with the profile {profile!r} open' if profile else ''}"

    def _test_connection_impl(self) -> bool:
        self._connect()
        return True

    def _sync_deck_impl(self, deck: Deck) -> SyncResult:
        self._connect()
        return self._deliver(deck)

    def _deliver(self, deck: Deck) -> SyncResult:
        note_type, name = deck.note_type, self.settings.note_type
        if name and name != note_type.name:
            # With the same id, Anki would rename the build's own note type.
            note_type = attrs.evolve(note_type, name=name, id=stable_id(f"note type {name}"))
        delivery = Delivery(
            anki=self._anki,
            deck=attrs.evolve(deck, name=self._name_of(deck), note_type=note_type),
            update_existing=self.settings.update_existing,
            update_templates=self.settings.update_templates,
            timeout=self.settings.timeout,
            wait=self.http.wait,
        )
        with self._delivery_lock:
            outcome = delivery.run()
        shown = [*outcome.refused[:_MAX_SHOWN], *(["..."] if len(outcome.refused) > _MAX_SHOWN else [])]
        return SyncResult(
            success=not outcome.refused,
            processed_count=outcome.total,
            metadata={**attrs.asdict(outcome), "summary": outcome.summary},
            error_message="\n".join(["Anki refused some notes.", *shown]) if outcome.refused else "",
            created_ids=outcome.added,
        )

    def _name_of(self, deck: Deck) -> str:
        configured = self.settings.deck_name
        return deck.name if deck.is_named or not configured else configured

    # Step by step

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        self._connect()
        decks = self._decks_of(cards, self.settings.deck_name or "Deckwright")
        results = [self._deliver(deck) for deck in decks]
        result = SyncResult(
            success=all(each.success for each in results),
            processed_count=sum(each.processed_count for each in results),
            metadata=results[-1].metadata if results else {},
            error_message="\n".join(each.error_message for each in results if each.error_message),
            created_ids=[id for each in results for id in each.created_ids or ()],
        )
        if result.success:
            # Other files wait for cards that refer to them.
            used = {file for deck in decks for file in media_of(deck.notes, deck.media)}
            self._media = [file for file in self._media if file not in used]
        return result

    def list_existing(self, note_type: str) -> list[dict[str, Any]]:
        """Return the notes of this type: their fields, `tags`, and Anki's id as `note_id`."""
        self._connect()
        ids = self._anki.call("findNotes", query=f'note:"{quoted(note_type)}"')
        infos = self._anki.call("notesInfo", notes=ids)
        notes = [ExistingNote.from_info(info) for info in infos if info]
        return [{**note.fields, "note_id": note.id, "tags": sorted(note.tags)} for note in notes]

    # The connection

    def _connect(self) -> str:
        """Wait until Anki is running and accepts this program, but no longer than `launch_wait_time`.

        Returns:
            The profile that is open, if Anki reports it.
        """
        http = self.http  # this one, since a request after `close` would open another
        until = time.monotonic() + self.settings.launch_wait_time
        while True:
            try:
                self._require_permission()
                return self._open_profile()
            except errors.ProviderError as error:
                if not _is_starting(error) or time.monotonic() >= until or not http.wait(_PAUSE):
                    raise

    def _require_permission(self) -> None:
        try:
            permission = self._anki.call("requestPermission")
        except AnkiError:
            raise _too_old() from None
        if not isinstance(permission, Mapping) or permission.get("permission") != "granted":
            raise errors.AuthenticationError(
                "AnkiConnect does not accept this program.", hint="Allow it in the window that Anki shows."
            )
        if int(permission.get("version", VERSION)) < VERSION:
            raise _too_old()
        # The documentation has one spelling, and the response the other.
        needs_key = permission.get("requireApiKey") or permission.get("requireApikey")
        if needs_key and not self.settings.api_key:
            raise errors.AuthenticationError(
                "AnkiConnect requires a key, but api_key is not set.",
                hint="Set api_key to the add-on's setting apiKey.",
            )

    def _open_profile(self) -> str:
        """Return the profile that is open, and check that it is the right one."""
        self._anki.call("deckNames")  # refused if no profile is open
        try:
            profile = self._anki.call("getActiveProfile")
        except AnkiError:
            profile = None  # older releases do not report it
        wanted = self.settings.profile
        if wanted and profile != wanted:
            problem = (
                f"has the profile {profile!r} open" if profile else "does not report which profile is open"
            )
            raise errors.ProviderError(
                f"Anki {problem}, but {wanted!r} is required.",
                hint="Switch the profile in Anki, under File, or change the setting `profile`.",
            )
        return str(profile or "")

    def _post(self, body: Any, repeatable: bool) -> Response:
        try:
            return self.http.request("POST", self.base_url, json=body, idempotent=repeatable)
        except errors.TransientError as error:
            raise unreachable(self.base_url, error) from None


def _is_starting(error: BaseException) -> bool:
    """Return whether an error may come from an Anki that is just starting."""
    return isinstance(error, errors.TransientError) or (isinstance(error, AnkiError) and error.is_early)


def _too_old() -> errors.ProviderError:
    return errors.ProviderError(
        f"The add-on AnkiConnect in Anki is too old: version {VERSION} of its protocol is required.",
        hint=f"Update it in Anki, under Tools, Add-ons ({ADD_ON}).",
    )


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `anki`."""
    summary = "Puts decks into a running Anki, by its add-on AnkiConnect"
    return [ProviderInfo("sync", "anki", summary, AnkiSettings, ONLINE_EXTRA)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> SyncProvider | None:
    """Make `anki`."""
    return Anki(config) if (type, name) == ("sync", "anki") else None
