"""What the contracts of all four types of provider share: settings, secrets, opening and closing."""

from __future__ import annotations

import contextlib
import io
import logging
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Union
from urllib.parse import quote

import attrs
import pytest

from deckwright.errors import CATCHABLE, ProviderError
from deckwright.secrets import is_secret_key, texts_in
from deckwright.testing.contracts.checking import Limited, PluginTests, answering, fail, require, said
from deckwright.testing.contracts.watching import Opened, opened
from deckwright.tracebacks import format_error, format_traceback

# Put in place of every secret. It has what quoting would change, and may still go into a header.
_MARKER = "contract-secret/1+2=3"
# As when masking: what is shorter occurs in ordinary text by chance.
_SHORTEST = 4
_OF_NO_TABLE = (str, int, float, bool, Path, type(None))
_TABLE = {"a": "table"}


class ProviderContract(PluginTests):
    """What every provider keeps to, of whatever type; the contract of a type of one's own derives from it.

    It gives the `type`, says in `uses` how a provider is used, and adds tests of what its providers promise.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        beside: Other plugins that are loaded with it, such as one that adds its type.
        type: What it delivers, as in `[providers.TYPE]`.
        name: The name that a configuration calls it by.
        wrong_settings: By setting, a value that is to be refused.
        seconds: How long each call of its code may take.
    """

    name: ClassVar[str]
    wrong_settings: ClassVar[Mapping[str, object]] = {}
    type: ClassVar[str]

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """The settings that it works with. Override this fixture where there must be some."""
        return {}

    @pytest.fixture
    def provider(self, settings: Mapping[str, Any]) -> Iterator[Any]:
        """The provider, made with `settings`; it is closed at the end."""
        with self._open(settings) as provider:
            yield provider

    @pytest.fixture
    def limited(self, provider: Any) -> Any:
        """The provider, for tests to ask: a method that takes longer than `seconds` fails them."""
        return self._limited(provider)

    def test_making_it_opens_nothing(self, settings: Mapping[str, Any]) -> None:
        """A constructor checks and stores: no file, connection, process or thread comes of it."""
        plugins, _ = self._loaded()

        def make() -> tuple[Any, list[Opened]]:
            with opened() as found:
                return plugins.make(self.type, self.name, dict(settings)), found

        with self._making():
            provider, found = self._ask(f"making {self._label}", make)
        self._close(provider)
        require(
            not found,
            f"Making {self._label} opens {', '.join(each.what for each in found)}. Deckwright makes every configured "
            "provider, used or not: open it on first use, and let go of it in close().",
        )

    def test_wrong_settings_are_refused_by_name(self, settings: Mapping[str, Any]) -> None:
        """Each of `wrong_settings` is an error that names the key, and shows no secret."""
        if not self.wrong_settings:
            pytest.skip("wrong_settings names none")
        for key, value in self.wrong_settings.items():
            self._require_refused(settings, key, value)

    def test_values_of_another_type_are_refused_by_name(self, settings: Mapping[str, Any]) -> None:
        """A table in place of a text, number, path, choice or list is an error that names the key."""
        keys = [key for key, hint in self._hints(settings).items() if _is_never_a_table(hint)]
        if not keys:
            pytest.skip("it has no config_class with settings of plain types")
        for key in keys:
            self._require_refused(settings, key, _TABLE)

    def test_closing_twice_does_no_harm(self, settings: Mapping[str, Any], tmp_path: Path) -> None:
        """`close` may be called before the first use, and again after the last."""
        for is_used in (False, True):
            with self._open(settings) as provider:
                if not hasattr(provider, "close"):
                    pytest.skip("it has nothing to close")
                limited = self._limited(provider)
                if is_used:
                    _use_up(self.uses(limited, tmp_path))
                with answering(
                    f"close() of {self._label}", "What was never opened, or is closed, it passes over."
                ):
                    limited.close()
                    limited.close()

    def test_secrets_stay_hidden(
        self, settings: Mapping[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No key, token or password is shown: in messages, results, logs, prints, or the provider's `repr`."""
        hints = self._hints(settings)
        secret_keys = [key for key in {**hints, **settings} if is_secret_key(key)]
        if not secret_keys:
            pytest.skip("it has no secret among its settings")
        real = [text for key in secret_keys for text in texts_in(settings.get(key))]
        marked = [
            key
            for key in secret_keys
            if isinstance(settings.get(key, ""), str | None) and _is_text(hints.get(key))
        ]
        self._require_hidden(settings, real, tmp_path, caplog)
        if marked:
            refused = {**settings, **dict.fromkeys(marked, _MARKER)}
            self._require_hidden(refused, [_MARKER], tmp_path, caplog)

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every way there is, to see whether it can be closed then and keeps its secrets.

        The contract of a type overrides it. This one uses it in no way.

        Args:
            provider: The provider.
            folder: A folder for what it writes.

        Yields:
            What each use returned, or the error that it rightly raised.
        """
        yield from ()

    @property
    def _label(self) -> str:
        return f"{self.type}/{self.name}"

    def _make(self, settings: Mapping[str, Any]) -> Any:
        plugins, _ = self._loaded()
        return self._ask(f"making {self._label}", lambda: plugins.make(self.type, self.name, dict(settings)))

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        try:
            yield
        except CATCHABLE as error:
            self._fail_once(
                ("making", self._label, format_error(error)),
                f"Making {self._label} raised {said(error)}. "
                "If it needs settings, give them in the fixture `settings`.",
            )

    def _close(self, provider: Any) -> None:
        # A test of its own is about closing, and what hangs once is not waited for again.
        if not self._is_late:
            with contextlib.suppress(*CATCHABLE):
                self._limited(provider).close()

    def _limited(self, provider: Any) -> Any:
        return Limited(provider, self._label, self._ask)

    @contextlib.contextmanager
    def _open(self, settings: Mapping[str, Any]) -> Iterator[Any]:
        with self._making():
            provider = self._make(settings)
        try:
            yield provider
        finally:
            self._close(provider)

    def _hints(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the types of the settings, as far as they are declared."""
        plugins, _ = self._loaded()
        info = plugins.info(self.type, self.name)
        config_class = info.config_class if info else None
        if config_class is None:
            with self._open(settings) as provider:
                config_class = getattr(provider, "config_class", None)
        if config_class is None or not attrs.has(config_class):
            return {}
        hints = typing.get_type_hints(config_class)
        return {
            field.name: Any if field.converter else hints.get(field.name, Any)
            for field in attrs.fields(config_class)
            if field.init
        }

    def _require_refused(self, settings: Mapping[str, Any], key: str, value: object) -> None:
        try:
            provider = self._make({**settings, key: value})
        except CATCHABLE as error:
            message = format_error(error)
            require(
                isinstance(error, (ValueError, TypeError, KeyError)) and key in message,
                f"{self._label} refuses a wrong {key} with {message!r}: an error for a setting is a ValueError that "
                "names the key, such as SettingError(key, problem). A config_class does that by itself.",
            )
            shown = is_secret_key(key) and any(_is_shown(secret, message) for secret in texts_in(value))
            require(not shown, f"{self._label} shows the value of {key} in its error, though it is a secret.")
        else:
            self._close(provider)
            fail(
                f"{self._label} takes {value!r} for {key}. Refuse it when the provider is made: by the type and the "
                "validators of its config_class, or in validate_config. A class that derives from none of "
                "Deckwright's reads its settings by deckwright.config.settings.read_settings."
            )

    def _require_hidden(
        self,
        settings: Mapping[str, Any],
        secrets: list[str],
        folder: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        shown: dict[str, str] = {}
        printed = io.StringIO()
        caplog.clear()
        with (
            caplog.at_level(logging.DEBUG),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            try:
                provider = self._make(settings)
            except CATCHABLE as error:
                shown["the error of its constructor"] = format_error(error)
            else:
                shown["its repr"] = repr(provider)
                shown["its warnings"] = repr(list(getattr(provider, "warnings", ())))
                try:
                    shown["what it answers"] = "\n".join(
                        _words(result) for result in self.uses(self._limited(provider), folder)
                    )
                except CATCHABLE as error:
                    shown["an error"] = format_traceback(error)
                finally:
                    self._close(provider)
        shown["its logs"] = caplog.text
        shown["what it prints"] = printed.getvalue()
        for place, text in shown.items():
            found = any(_is_shown(secret, text) for secret in secrets)
            require(
                not found,
                f"{self._label} shows a secret in {place}. Leave it out, or mask it: "
                "deckwright.secrets.redact(text, secret_values(self.config)).",
            )


def checked(provider: Any) -> object:
    """Return what a provider says of its connection, or the error that it raises for that."""
    try:
        return provider.check_connection()
    except ProviderError as error:
        return error


def _use_up(results: Iterator[object]) -> None:
    with contextlib.suppress(*CATCHABLE):  # other tests are about that
        for _ in results:
            pass


def _words(result: object) -> str:
    failure = getattr(result, "failure", None) or result
    return f"{result!r} {failure}"


def _is_shown(secret: str, text: str) -> bool:
    forms = (secret, repr(secret)[1:-1], quote(secret, safe=""))
    return len(secret) >= _SHORTEST and any(form in text for form in forms)


def _is_text(hint: Any) -> bool:
    return hint in (None, Any, str) or str in typing.get_args(hint)


def _is_never_a_table(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is Union or origin is types.UnionType:
        return all(map(_is_never_a_table, typing.get_args(hint)))
    return hint in _OF_NO_TABLE or origin in (Literal, list, tuple)
