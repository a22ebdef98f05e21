"""The contracts for plugin authors: correct plugins pass, and broken ones fail the right test with a message."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from deckwright import (
    DataError,
    DataProvider,
    Deck,
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderInfo,
    ProvidersFailedError,
    ProviderType,
    SyncProvider,
    SyncResult,
    UnknownProviderError,
    hookimpl,
)
from deckwright.testing import (
    AudioProviderContract,
    DataProviderContract,
    ImageProviderContract,
    PluginContract,
    ProviderContract,
    SyncProviderContract,
)
from deckwright.testing.fixtures import RegistryWith
from deckwright.testing.servers import ForvoServer, OpenAIServer, RunwareServer, samples
from deckwright.toolkit.files import FileDataProvider

pytest_plugins = ["pytester"]

SECRET = "a-key-of-my-own"


class Undescribed:
    """A plugin that makes one provider and says nothing of it."""

    def __init__(self, type: str, make: Callable[[dict[str, Any]], object]) -> None:
        self.key = (type, "mine")
        self.make = make

    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> object:
        return self.make(config) if (type, name) == self.key else None


class Described(Undescribed):
    def __init__(self, type: str, make: Callable[[dict[str, Any]], object]) -> None:
        super().__init__(type, make)
        self.info = ProviderInfo(type, "mine", config_class=getattr(make, "config_class", None))

    @hookimpl
    def describe_media_providers(self) -> list[ProviderInfo]:
        return [self.info]


# Audio providers


class Bell(MediaProvider):
    """A minimal correct provider."""

    supported_types: Sequence[str] = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        if request.params.get("language") == "zxx":
            raise NotFoundError("This is no word.")
        request.target.write_bytes(samples.mp3(request.content))
        return MediaResult(True, request.target)


@attrs.define
class BellSettings:
    api_key: str = attrs.field(default="", metadata={"help": "your key"})
    seconds: float = attrs.field(
        default=1.0, validator=attrs.validators.ge(0), metadata={"help": "how long it rings"}
    )
    folder: Path | None = attrs.field(default=None, metadata={"help": "where the bells are"})


class SetBell(Bell):
    config_class = BellSettings


class OldBell(MediaProvider):
    """As providers were written for the old contract."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config = config or {}
        self.validate_config(self.config)
        self.made = 0

    @property
    def supported_types(self) -> list[str]:  # type: ignore[override]
        return ["audio"]

    def validate_config(self, config: Mapping[str, Any]) -> None:
        if config.get("seconds", 1) < 0:
            raise ValueError("seconds must not be negative")

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        assert request.output_path
        try:
            request.output_path.write_bytes(samples.mp3(request.content))
        except OSError as error:
            return MediaResult(success=False, file_path=None, metadata={}, error=str(error))
        return MediaResult(success=True, file_path=request.output_path, metadata={})

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        return {"total_cost": 0, "per_request": 0, "requests_count": len(requests)}


def bell(base: type[Any] = Bell, **methods: Any) -> type[Any]:
    """Return a bell with some of its methods replaced."""
    return type("BrokenBell", (base,), methods)


def on_setup(action: Callable[[], object]) -> type[Any]:
    return bell(_setup_from_config=lambda self: setattr(self, "opened", action()))


def making(make: Callable[[Any, MediaRequest], Any], base: type[Any] = Bell) -> type[Any]:
    return bell(base, _generate_media_impl=make)


def run_nothing() -> None:
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)


class Threaded(Bell):
    def _setup_from_config(self) -> None:
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.ended.wait, name="bell-ringer")
        self.thread.start()

    def close(self) -> None:
        self.ended.set()
        self.thread.join()


class ClosesOnce(Bell):
    def _setup_from_config(self) -> None:
        self.is_open = True

    def close(self) -> None:
        if not self.is_open:
            raise RuntimeError("it is closed already")
        self.is_open = False


class LoudBell(SetBell):
    """One that logs its key."""

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        self.logger.debug("asking with %s", self.settings.api_key)
        return super()._generate_media_impl(request)


class PrintingBell(SetBell):
    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        print("asking with", self.settings.api_key)
        return super()._generate_media_impl(request)


class ReturnsItsKey(SetBell):
    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        result = super()._generate_media_impl(request)
        return attrs.evolve(result, metadata={"asked": f"?key={self.settings.api_key}"})


class ShowsRefusedKey(Bell):
    def validate_config(self, config: dict[str, Any]) -> None:
        if "1+2" in config.get("api_key", ""):
            raise ValueError(f"api_key: {config['api_key']} is not a key")


class NamesNoSetting(Bell):
    def validate_config(self, config: dict[str, Any]) -> None:
        if config.get("seconds") == -1:
            raise ValueError("it is negative")


class MixesThreads(Bell):
    """Keeps the word of a request in itself, where the next thread's takes its place."""

    def _setup_from_config(self) -> None:
        self.all_there = threading.Barrier(8)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        self.word = request.content
        # Only the test of threads has a pool of them.
        if any(thread.name.startswith("ThreadPool") for thread in threading.enumerate()):
            self.all_there.wait(20)
        request.target.write_bytes(samples.mp3(self.word))
        return MediaResult(True, request.target)


class ChangesFormat(Bell):
    asked = 0

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        self.asked += 1
        if self.asked % 2:
            return super()._generate_media_impl(request)
        path = request.target.with_suffix(".wav")
        path.write_bytes(
            b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + bytes(28) + request.content.encode()
        )
        return MediaResult(True, path)


def elsewhere(self: Any, request: MediaRequest) -> MediaResult:
    path = request.target.parent / "another name.mp3"
    path.write_bytes(samples.mp3())
    return MediaResult(True, path)


def from_a_cache(self: Any, request: MediaRequest) -> MediaResult:
    folder = request.target.parents[1] / "cache of bells"
    folder.mkdir(exist_ok=True)
    path = folder / f"{request.content[:9].encode().hex()}.mp3"
    path.write_bytes(samples.mp3(request.content))
    return MediaResult(True, path)


def text(self: Any, request: MediaRequest) -> MediaResult:
    request.target.write_text("not found")
    return MediaResult(True, request.target)


def raising_if(condition: Callable[[MediaRequest], bool]) -> type[Any]:
    def generate_media(self: Any, request: MediaRequest) -> MediaResult:
        if condition(request):
            raise RuntimeError("what now?")
        return Bell.generate_media(self, request)

    return bell(generate_media=generate_media)


# Sync providers


class FileTarget(SyncProvider):
    """Writes decks to files of its own kind."""

    path = Path("deck.json")

    def _test_connection_impl(self) -> bool:
        return True

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        self.path.write_text(json.dumps(cards))
        return SyncResult(True, len(cards))

    def destination(self, deck: str, output: Path | None = None) -> Path | None:
        return self.path


class TakesOneDeck(FileTarget):
    """Takes a deck once."""

    is_full = False

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        if self.is_full and cards:
            return SyncResult(False, 0, error_message="there is something already")
        self.is_full = True
        return super()._sync_cards_impl(cards)


class WritesNothing(FileTarget):
    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        return SyncResult(True, len(cards))


class RaisesForInvalidCards(FileTarget):
    def sync_cards(self, cards: list[dict[str, Any]]) -> SyncResult:
        return self._sync_cards_impl(cards)


class NeedsNotes(FileTarget):
    def sync_deck(self, deck: Deck) -> SyncResult:
        assert deck.notes[0]
        return super().sync_deck(deck)


class FailsSilently(FileTarget):
    def sync_cards(self, cards: list[dict[str, Any]]) -> SyncResult:
        result = super().sync_cards(cards)
        return attrs.evolve(result, error_message="")


# Data providers


class Memory(DataProvider):
    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        self.saved: dict[str, Any] = {}

    def _load_data_impl(self, identifier: str) -> Any:
        if identifier not in self.saved:
            raise DataError(f"There is no {identifier!r}.")
        return self.saved[identifier]

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        self.saved[identifier] = data
        return True

    def exists(self, identifier: str) -> bool:
        return identifier in self.saved

    def list_identifiers(self) -> list[str]:
        return sorted(self.saved)


class Dictionary(Memory):
    """Never writes."""

    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        self.saved = {"nouns": [{"word": "casa"}]}

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        return False


class LosesLetters(Memory):
    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        narrow = json.loads(
            json.dumps(data, ensure_ascii=False).encode("latin-1", "replace").decode("latin-1")
        )
        return super()._save_data_impl(identifier, narrow)


class Unsorted(Memory):
    def list_identifiers(self) -> list[str]:
        return sorted(self.saved, reverse=True)


class ListsUnknown(Memory):
    def list_identifiers(self) -> list[str]:
        return ["ghost"]


class RaisesKeyError(Memory):
    def _load_data_impl(self, identifier: str) -> Any:
        return self.saved[identifier]


class WritesWhenReadOnly(Memory):
    def save_data(self, identifier: str, data: Any) -> bool:
        self._require_managed(identifier)
        return self._save_data_impl(identifier, data)


class IgnoresManagedFiles(Memory):
    def _require_managed(self, identifier: str) -> None:
        pass


class Files(FileDataProvider):
    endings = (".json",)

    def _load_data_impl(self, identifier: str) -> Any:
        return json.loads(self._read_text(self._path(identifier)))

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        self._write(self._path(identifier), json.dumps(data).encode())
        return True


class LeavesItsFolder(Files):
    def _path(self, identifier: str) -> Path:
        path: Path = self.settings.base_path / identifier
        return path


# Plugins


class MakesEverything:
    """Makes a provider for every type and name."""

    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> object:
        return Bell(config)


class ChangesSettings(Undescribed):
    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> object:
        config.setdefault("volume", 1)
        return super().register_media_provider(type, name, config)


class ChangesItsDescription(Described):
    times = 0

    @hookimpl
    def describe_media_providers(self) -> list[ProviderInfo]:
        self.times += 1
        return [attrs.evolve(self.info, summary=f"asked {self.times} times")]


class ReadsToDescribe(Described):
    @hookimpl
    def describe_media_providers(self) -> list[ProviderInfo]:
        Path(__file__).read_bytes()
        return [self.info]


class Hint:
    """A provider of a type that is not built in."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config


class HintType:
    """Adds the type, and has the name of another plugin."""

    __name__ = "Hinting"

    @hookimpl
    def register_provider_types(self) -> list[ProviderType]:
        return [ProviderType("hint", Hint, "what helps to remember")]


class Hinting(Described):
    """Makes a provider of the type."""


class Misspelled:
    @hookimpl
    def register_media_providr(self, type: str, name: str, config: dict[str, Any]) -> object:
        return None


@attrs.define
class Unexplained:
    volume: float = 1.0


@attrs.frozen
class Case:
    """A class of tests, what of it is to fail, and what the failure says."""

    tests: type[Any]
    fails: frozenset[str] = frozenset()
    says: str = ""


def case(
    contract: type[Any], plugin: object, *fails: str, says: str = "", settings: Any = None, **attributes: Any
) -> Case:
    if contract is not PluginContract:
        attributes = {"name": "mine", **attributes}
    if settings is not None:
        attributes["settings"] = (
            settings
            if contract is PluginContract
            else pytest.fixture(lambda self, tmp_path: settings(tmp_path))
        )
    return Case(type("Tests", (contract,), {"plugin": plugin, **attributes}), frozenset(fails), says)


WORDS = (("hola", "es"), ("perro", "es"))


def audio(made: Any, *fails: str, says: str = "", plugin: Any = Undescribed, **more: Any) -> Case:
    return case(AudioProviderContract, plugin("audio", made), *fails, says=says, **{"words": WORDS, **more})


def sync(made: Any, *fails: str, says: str = "") -> Case:
    return case(SyncProviderContract, Undescribed("sync", made), *fails, says=says)


def data(made: Any, *fails: str, says: str = "", **more: Any) -> Case:
    return case(DataProviderContract, Undescribed("data", made), *fails, says=says, **more)


def plugin(plugin: object, *fails: str, says: str = "", **more: Any) -> Case:
    return case(PluginContract, plugin, *fails, says=says, **more)


def with_key(folder: Path) -> dict[str, Any]:
    return {"api_key": SECRET}


ONE_BELL = Bell()
PASSING = {
    "undescribed": audio(Bell),
    "described": audio(
        SetBell, plugin=Described, settings=with_key, wrong_settings={"seconds": -1, "api_key": 5}
    ),
    "old_contract": audio(OldBell, settings=with_key, wrong_settings={"seconds": -1}),
    "keeps_its_files_elsewhere": audio(making(from_a_cache)),
    "old_class": audio(lambda config: OldBell, wrong_settings={"seconds": -1}),
    "image": case(
        ImageProviderContract,
        Undescribed(
            "image",
            making(
                lambda self, request: MediaResult(
                    bool(
                        request.target.write_bytes(
                            samples.picture("png", 9, 9, samples.colour_of(request.content))
                        )
                    ),
                    request.target,
                ),
                bell(supported_types=("image",)),
            ),
        ),
    ),
    "file_target": sync(FileTarget),
    "memory": data(Memory),
    "dictionary": data(Dictionary, identifier="nouns"),
    "files": data(Files, identifier="sub/words.json", settings=lambda folder: {"base_path": folder / "data"}),
    "undescribed_plugin": plugin(Undescribed("audio", Bell), settings={("audio", "mine"): {}}),
    "plugin_without_descriptions": plugin(Undescribed("audio", Bell)),
    "described_plugin": plugin(Described("audio", SetBell)),
    "of_a_type_of_another": plugin(
        Hinting("hint", Hint), other_plugins=(HintType(), Undescribed("audio", Bell))
    ),
    "old_plugin": plugin(Undescribed("audio", lambda config: OldBell), settings={("audio", "mine"): {}}),
}
MADE = "test_every_word_gives_a_file"
SAME = "test_same_request_gives_same_format"
BATCH = "test_batch_results_are_in_order"
THREADS = "test_threads_get_their_own_results"
ODD = "test_unusual_words_give_a_result"
FOLDER = "test_missing_folder_gives_a_result"
OPENS = "test_constructor_opens_nothing"
REFUSED = "test_wrong_settings_are_refused"
TYPED = "test_wrong_types_are_refused"
HIDDEN = "test_secrets_stay_hidden"
BROKEN = {
    "file": audio(on_setup(lambda: Path(__file__).read_bytes()), OPENS, says="the file "),
    "socket": audio(on_setup(lambda: socket.socket().close()), OPENS, says="opens a socket"),
    "process": audio(on_setup(run_nothing), OPENS, says="a process of "),
    "database": audio(on_setup(lambda: sqlite3.connect(":memory:").close()), OPENS, says="the database :memory:"),
    "thread": audio(Threaded, OPENS, says="the thread bell-ringer"),
    "takes_anything": audio(Bell, REFUSED, wrong_settings={"seconds": -1}, says="accepts -1 for seconds"),
    "names_no_key": audio(NamesNoSetting, REFUSED, wrong_settings={"seconds": -1}, says="names the setting"),
    "shows_the_wrong_key": audio(
        ShowsRefusedKey, REFUSED, wrong_settings={"api_key": "1+2 = 3"}, says="shows the value of api_key"
    ),
    "reads_no_settings": audio(
        bell(__init__=lambda self, config: None, config_class=BellSettings), TYPED, says="for api_key"
    ),
    "closes_once": audio(ClosesOnce, "test_close_can_be_called_twice", says="it is closed already"),
    "logs_its_key": audio(LoudBell, HIDDEN, settings=with_key, says="in its logs"),
    "prints_its_key": audio(PrintingBell, HIDDEN, settings=with_key, says="in its printed text"),
    "returns_its_key": audio(ReturnsItsKey, HIDDEN, settings=with_key, says="in its results"),
    "is_its_key": audio(
        bell(SetBell, __repr__=lambda self: f"<{self.config}>"), HIDDEN, settings=with_key, says="in its repr"
    ),
    "shows_a_key_it_refuses": audio(ShowsRefusedKey, HIDDEN, settings=with_key, says="the error of its constructor"),
    "makes_no_file": audio(
        making(lambda self, request: MediaResult(True, request.target)), MADE, SAME, BATCH, THREADS, ODD, FOLDER,
        says="is not a file",
    ),
    "writes_elsewhere": audio(
        making(elsewhere), MADE, SAME, BATCH, THREADS, ODD, says="only the extension may differ"
    ),
    "writes_text": audio(making(text), MADE, SAME, BATCH, THREADS, ODD, says="but a sound was expected"),
    "has_not_the_word": audio(Bell, MADE, SAME, BATCH, THREADS, words=(("hola", "zxx"),), says="This is no word"),
    "changes_its_kind": audio(ChangesFormat, SAME, says="files of different formats"),
    "fails_without_a_word": audio(
        making(lambda self, request: MediaResult(False)), MADE, SAME, BATCH, THREADS, ODD, FOLDER,
        says="without a message",
    ),
    "returns_nothing": audio(
        making(lambda self, request: None), MADE, SAME, BATCH, THREADS, ODD, FOLDER,
        says="instead of a MediaResult",
    ),
    "raises_for_markup": audio(raising_if(lambda request: "<b>" in request.content), ODD, says="what now?"),
    "raises_without_a_folder": audio(
        raising_if(lambda request: not request.target.parent.is_dir()), FOLDER, says="test_kit.py:"
    ),
    "delivers_anything": audio(
        bell(validate_request=lambda self, request: True),
        "test_wrong_type_gives_a_failed_result", BATCH,
        says="Check the request's type",
    ),
    "turns_batches_round": audio(
        bell(generate_batch=lambda self, requests: [self.generate_media(r) for r in requests][::-1]),
        BATCH, says="only the extension may differ",
    ),
    "drops_failures": audio(
        bell(generate_batch=lambda self, requests: [self.generate_media(r) for r in requests if r.type == "audio"]),
        BATCH, says="3 results for 4 requests",
    ),
    "mixes_threads": audio(MixesThreads, THREADS, says="Keep what belongs"),
    "estimates_half": audio(
        bell(get_cost_estimate=lambda self, requests: {"total_cost": 0.0}),
        "test_cost_estimate_is_complete", says="per_request",
    ),
    "earns_money": audio(
        bell(get_cost_estimate=lambda self, requests: {
            "total_cost": -1.0, "per_request": 0.0, "requests_count": len(requests)
        }),
        "test_cost_estimate_is_complete", says="not negative",
    ),
    "is_away": sync(
        bell(FileTarget, _test_connection_impl=lambda self: False), "test_connection_works", says="cannot be reached"
    ),
    "says_nothing": sync(
        bell(FileTarget, check_connection=lambda self: None), "test_connection_works", says="one line of text"
    ),
    "takes_it_once": sync(TakesOneDeck, "test_deck_can_be_delivered_twice", says="there is something already"),
    "reports_another_file": sync(WritesNothing, "test_destination_is_written", says="deck.json"),
    "raises_at_nonsense": sync(
        RaisesForInvalidCards, "test_invalid_cards_give_a_result", says="override _sync_cards_impl instead"
    ),
    "needs_notes": sync(NeedsNotes, "test_empty_deck_gives_a_result", says="IndexError"),
    "fails_in_silence": sync(FailsSilently, "test_invalid_cards_give_a_result", says="error_message"),
    "loses_letters": data(LosesLetters, "test_saved_data_can_be_loaded", says="but loaded"),
    "is_not_sorted": data(Unsorted, "test_saved_data_is_listed", says="another-words"),
    "lists_ghosts": data(
        ListsUnknown, "test_saved_data_is_listed", "test_listed_data_can_be_loaded", says="ghost"
    ),
    "raises_bare_errors": data(
        RaisesKeyError, "test_unknown_data_is_a_data_error", "test_identifier_cannot_leave_the_folder", says="KeyError"
    ),
    "writes_all_the_same": data(WritesWhenReadOnly, "test_read_only_refuses_to_save", says="but save_data accepted it"),
    "touches_the_rest": data(IgnoresManagedFiles, "test_only_managed_files_are_used", says="is not a managed file"),
    "climbs_out": data(
        LeavesItsFolder, "test_identifier_cannot_leave_the_folder", identifier="words.json",
        settings=lambda folder: {"base_path": folder / "data"}, says="makes data/mine open files in",
    ),
    "misspelled": plugin(
        Misspelled(), "test_it_is_a_plugin", says="did you mean 'register_media_provider'?"
    ),
    "not_made": plugin(
        Described("audio", lambda config: None), "test_every_provider_can_be_made", says="made nothing",
    ),
    "of_another_type": plugin(
        Described("image", Bell), "test_every_provider_can_be_made", says="image/mine"
    ),
    "not_described": plugin(
        Described("audio", Bell), "test_every_provider_can_be_made", "test_instances_are_independent",
        settings={("audio", "other"): {}}, says="audio/other",
    ),
    "greedy": plugin(MakesEverything(), "test_unknown_types_and_names_return_none", says="Return None"),
    "touches_settings": plugin(
        ChangesSettings("audio", Bell), "test_unknown_types_and_names_return_none", says="changed the settings"
    ),
    "makes_one": plugin(
        Described("audio", lambda config: ONE_BELL), "test_instances_are_independent", says="the same object each time"
    ),
    "shares_settings": plugin(
        Described("audio", bell(_setup_from_config=lambda self, shared={"a": 1}: setattr(self, "config", shared))),
        "test_instances_are_independent", says="share config",
    ),
    "wavers": plugin(
        ChangesItsDescription("audio", Bell), "test_description_does_not_change", says="must not change"
    ),
    "reads_to_describe": plugin(
        ReadsToDescribe("audio", Bell), "test_description_does_not_change", says="already known"
    ),
    "of_a_type_of_nobody": plugin(
        Hinting("hint", Hint),
        "test_it_is_a_plugin", "test_every_provider_can_be_made", "test_instances_are_independent",
        says="other_plugins = (its_module,)",
    ),
    "does_not_explain": plugin(
        Described("audio", bell(config_class=Unexplained)), "test_every_setting_has_help", says="volume"
    ),
}  # fmt: skip


@attrs.frozen
class Outcome:
    failed: dict[str, str]
    passed: int


def run_within(pytester: pytest.Pytester) -> pytest.HookRecorder:
    """Run the file that was made, with the fixtures of the kit and no other plugin, which takes a second less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.inline_run(
            "-p", "deckwright.testing.fixtures", "-p", "no:cacheprovider", "-W", "error",
            # The outer run has imported the fixtures already.
            "-W", "ignore::pytest.PytestAssertRewriteWarning",
        )  # fmt: skip


# The cases of the run within.
at_work: dict[str, Case] = {}


def outcomes(pytester: pytest.Pytester, cases: Mapping[str, Case]) -> dict[str, Outcome]:
    """Run the tests of all cases in one go; return what became of each case."""
    pytester.makepyfile(
        f"""
        import sys

        for name, case in sys.modules[{__name__!r}].at_work.items():
            globals()[f"Test_{{name}}"] = type(f"Test_{{name}}", (case.tests,), {{}})
        """
    )
    at_work.clear()
    at_work.update(cases)
    passed, _, failed = run_within(pytester).listoutcomes()
    found: dict[str, Outcome] = {}
    for name in cases:
        mine = f"::Test_{name}::"
        found[name] = Outcome(
            {
                report.nodeid.rpartition("::")[2].partition("[")[0]: report.longreprtext
                for report in failed
                if mine in report.nodeid
            },
            sum(mine in report.nodeid for report in passed),
        )
    return found


def test_correct_plugins_pass(pytester: pytest.Pytester) -> None:
    for name, outcome in outcomes(pytester, PASSING).items():
        assert not outcome.failed, name
        assert outcome.passed >= 5, name


# In four parts, which different workers take.
@pytest.mark.parametrize("part", range(4))
def test_broken_plugins_fail_the_right_test_with_a_message(pytester: pytest.Pytester, part: int) -> None:
    wrong = []
    for name, outcome in outcomes(pytester, {name: BROKEN[name] for name in sorted(BROKEN)[part::4]}).items():
        expected, said = BROKEN[name], "\n".join(outcome.failed.values())
        # In words, and not by the code of the contract.
        if set(outcome.failed) != expected.fails or expected.says not in said or "contracts" in said:
            wrong.append((name, outcome.failed))
    assert not wrong


class Hangs(Bell):
    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        threading.Event().wait()
        raise AssertionError


class OddlyNamed(Undescribed):
    @hookimpl
    def register_media_provider(self, kind: str, name: str) -> object:  # type: ignore[override]
        return None


def keyless(config: dict[str, Any]) -> Any:
    return config["api_key"]


ONCE = {
    "hangs": audio(
        Hangs, "test_close_can_be_called_twice", timeout=2,
        says="generate_media of audio/mine took longer than 2 s. Add a timeout",
    ),
    "is_not_loaded": plugin(OddlyNamed("audio", Bell), "test_it_is_a_plugin", says="takes 'kind'; its parameters"),
    "makes_nothing_without": plugin(
        Described("audio", keyless), "test_every_provider_can_be_made", says="KeyError: 'api_key', at "
    ),
}  # fmt: skip


def test_one_cause_is_reported_once(pytester: pytest.Pytester) -> None:
    for name, outcome in outcomes(pytester, ONCE).items():
        assert set(outcome.failed) == ONCE[name].fails, name
        [said] = outcome.failed.values()
        assert ONCE[name].says in said
        assert not re.search(r"During handling|\w\.\.(?!\.)|disable", said), name


def test_a_cause_in_two_test_classes_is_reported_by_one(pytester: pytest.Pytester) -> None:
    plugin = OddlyNamed("audio", Bell)
    cases = {"the_plugin": case(PluginContract, plugin), "the_bell": case(AudioProviderContract, plugin)}
    found = outcomes(pytester, cases)
    assert len(found["the_plugin"].failed) == 1
    assert not found["the_bell"].failed
    assert not found["the_bell"].passed


CONTRACTS = (
    AudioProviderContract,
    DataProviderContract,
    ImageProviderContract,
    PluginContract,
    ProviderContract,
    SyncProviderContract,
)


class TestContracts:
    @pytest.mark.parametrize("contract", CONTRACTS)
    def test_each_is_collected_through_a_class_of_the_author_s_only(self, contract: type[Any]) -> None:
        assert not any(base.__name__.startswith("Test") for base in contract.__mro__)

    @pytest.mark.parametrize("contract", CONTRACTS)
    def test_each_test_says_what_it_promises(self, contract: type[Any]) -> None:
        tests = [name for name in dir(contract) if name.startswith("test")]
        assert len(tests) >= 5
        for name in tests:
            promise = getattr(contract, name).__doc__
            assert promise, name
            assert "\n" not in promise, name

    def test_a_name_that_is_none_is_an_attribute_error(self) -> None:
        import deckwright.testing

        with pytest.raises(AttributeError, match="has no attribute 'TestContract'"):
            deckwright.testing.TestContract  # type: ignore[attr-defined]  # noqa: B018


class TestCostOfImporting:
    def loaded_by(self, source: str) -> set[str]:
        found = subprocess.run(
            [sys.executable, "-c", f"{source}\nimport sys\nprint(*sys.modules)"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return set(found.stdout.split())

    def test_the_servers_work_without_pytest(self) -> None:
        assert not self.loaded_by("import deckwright.testing.servers.__main__") & {"pytest", "_pytest"}

    def test_the_fixtures_load_nothing_of_deckwright_until_they_are_used(self) -> None:
        loaded = {
            name for name in self.loaded_by("import deckwright.testing.fixtures") if "deckwright" in name
        }
        assert loaded <= {
            "deckwright", "deckwright._version", "deckwright.testing", "deckwright.testing.fixtures",
        } | {name for name in loaded if name.startswith("__editable__")}  # fmt: skip


ANNA = """
from deckwright import MediaProvider, hookimpl

class Anna(MediaProvider):
    supported_types = ("audio",)
    closed = 0

    def _generate_media_impl(self, request):
        raise NotImplementedError

    def close(self):
        type(self).closed += 1

@hookimpl
def register_media_provider(type, name, config):
    if (type, name) == ("audio", "anna"):
        return Anna(config)
"""


class TestFixtures:
    CONFIG: ClassVar[dict[str, Any]] = {"providers": {"audio": {"anna": {"pipelines": ["*"]}}}}

    @pytest.fixture
    def anna(self, tmp_path: Path) -> Path:
        path = tmp_path / "anna.py"
        path.write_text(ANNA)
        return path

    def test_a_registry_with_a_plugin_in_a_file(self, registry_with: RegistryWith, anna: Path) -> None:
        registry = registry_with(anna, self.CONFIG)
        assert type(registry["audio"]["anna"]).__name__ == "Anna"
        assert registry_with(str(anna), self.CONFIG).get("audio", "anna")

    def test_a_registry_with_a_plugin_in_hand_and_without_a_configuration(
        self, registry_with: RegistryWith
    ) -> None:
        registry = registry_with(Undescribed("audio", Bell))
        assert isinstance(registry.plugins.make("audio", "mine", {}), Bell)
        assert not registry["audio"]

    def test_a_configuration_in_a_file(self, registry_with: RegistryWith, anna: Path) -> None:
        path = anna.with_name("deckwright.toml")
        path.write_text('[plugins]\npaths = ["anna.py"]\n\n[providers.audio.anna]\npipelines = ["*"]\n')
        assert registry_with(config=path).get("audio", "anna")
        path.write_text(f'{path.read_text()}\n[providers.audio.other]\npipelines = ["*"]\n')
        with pytest.raises(
            ProvidersFailedError, match=r"line 7, providers\.audio\.other: Unknown audio provider"
        ):
            registry_with(config=path)

    def test_no_plugin_but_this_one(
        self, registry_with: RegistryWith, anna: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DECKWRIGHT_PLUGINS", str(anna))
        registry = registry_with()
        assert {record.provenance.kind for record in registry.plugins.records} == {"built-in"}
        with pytest.raises(UnknownProviderError):
            registry.plugins.make("audio", "anna", {})

    def test_faults_are_raised_unless_they_are_asked_for(self, registry_with: RegistryWith) -> None:
        with pytest.raises(ProvidersFailedError, match="did you mean 'register_media_provider'"):
            registry_with(Misspelled())
        assert registry_with(Misspelled(), strict=False).plugins.records[-1].status == "failed"
        [failure] = registry_with(config=self.CONFIG, strict=False).failures
        assert failure.name == "anna"

    def test_registries_are_closed_at_the_end(self, pytester: pytest.Pytester, anna: Path) -> None:
        pytester.makepyfile(
            f"""
            providers = []

            def test_it(registry_with):
                config = {self.CONFIG!r}
                providers.append(registry_with({str(anna)!r}, config)["audio"]["anna"])
                assert providers[0].closed == 0

            def test_after_it():
                assert providers[0].closed == 1
            """
        )
        run_within(pytester).assertoutcome(passed=2)

    def test_a_folder_for_media(self, media_folder: Path) -> None:
        assert list(media_folder.iterdir()) == []

    def test_servers(
        self,
        forvo_server: ForvoServer,
        openai_server: OpenAIServer,
        runware_server: RunwareServer,
    ) -> None:
        for server in (forvo_server, openai_server, runware_server):
            assert server.base_url.startswith("http://127.0.0.1:")
