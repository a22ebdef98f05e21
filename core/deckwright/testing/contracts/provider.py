"""What the contracts of all types of provider share: settings, secrets, opening and closing."""

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
from deckwright.testing.contracts.assertions import (
    PluginTests,
    TimedProvider,
    describe_error,
    fail,
    must_not_raise,
    require,
)
from deckwright.testing.contracts.resource_audit import OpenedResource, record_opened
from deckwright.tracebacks import format_error, format_traceback

# Used in place of every secret. It has characters that quoting changes, and is valid in a header.
_MARKER = "contract-secret/1+2=3"
# The same as for masking: shorter texts occur by chance.
_MIN_LENGTH = 4
_SIMPLE_TYPES = (str, int, float, bool, Path, type(None))
_TABLE = {"a": "table"}


class ProviderContract(PluginTests):
    """What every provider must do. Derive the contract of your own type from it.

    Set the `type`, use the provider in `uses`, and add tests of what its providers promise.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        other_plugins: Plugins to load with it, such as one that adds its type.
        type: What it delivers, as in `[providers.TYPE]`.
        name: The provider's name in a configuration.
        wrong_settings: For each setting, a value that must be refused.
        timeout: How many seconds each call of its code may take.
    """

    name: ClassVar[str]
    wrong_settings: ClassVar[Mapping[str, object]] = {}
    type: ClassVar[str]

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """The settings of the provider. Override this fixture if it needs any."""
        return {}

    @pytest.fixture
    def provider(self, settings: Mapping[str, Any]) -> Iterator[Any]:
        """The provider, made with `settings`; it is closed after the test."""
        with self._open(settings) as provider:
            yield provider

    @pytest.fixture
    def timed_provider(self, provider: Any) -> Any:
        """The provider for tests to use: a method that takes longer than `timeout` fails the test."""
        return self._timed(provider)

    def test_constructor_opens_nothing(self, settings: Mapping[str, Any]) -> None:
        """Making a provider opens no file or connection, and starts no process or thread."""
        plugins, _ = self._loaded()

        def make() -> tuple[Any, list[OpenedResource]]:
            with record_opened() as opened:
                return plugins.make(self.type, self.name, dict(settings)), opened

        with self._making():
            provider, opened = self._call(f"making {self._label}", make)
        self._close(provider)
        require(
            not opened,
            f"Making {self._label} opens {', '.join(each.description for each in opened)}. Deckwright makes every "
            "configured provider, even if it is not used. Open it on first use, and close it in close().",
        )

    def test_wrong_settings_are_refused(self, settings: Mapping[str, Any]) -> None:
        """Each value in `wrong_settings` raises an error that names the setting and shows no secret."""
        if not self.wrong_settings:
            pytest.skip("wrong_settings is empty")
        for key, value in self.wrong_settings.items():
            self._require_refused(settings, key, value)

    def test_wrong_types_are_refused(self, settings: Mapping[str, Any]) -> None:
        """A table instead of a text, number, path, choice or list raises an error that names the setting."""
        keys = [key for key, hint in self._hints(settings).items() if _rejects_a_table(hint)]
        if not keys:
            pytest.skip("it has no config_class with settings of simple types")
        for key in keys:
            self._require_refused(settings, key, _TABLE)

    def test_close_can_be_called_twice(self, settings: Mapping[str, Any], tmp_path: Path) -> None:
        """`close` can be called before the first use, and again after the last."""
        for is_used in (False, True):
            with self._open(settings) as provider:
                if not hasattr(provider, "close"):
                    pytest.skip("it has nothing to close")
                timed_provider = self._timed(provider)
                if is_used:
                    _consume(self.uses(timed_provider, tmp_path))
                with must_not_raise(
                    f"close() of {self._label}", "It must ignore what was never opened or is already closed."
                ):
                    timed_provider.close()
                    timed_provider.close()

    def test_secrets_stay_hidden(
        self, settings: Mapping[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No key, token or password is shown in messages, results, logs, printed text or the provider's `repr`."""
        hints = self._hints(settings)
        secret_keys = [key for key in {**hints, **settings} if is_secret_key(key)]
        if not secret_keys:
            pytest.skip("it has no secret settings")
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
        """Use a provider in every possible way, to check that it closes and hides its secrets afterwards.

        Override it in the contract of a type. This one does nothing.

        Args:
            provider: The provider.
            folder: A folder for what it writes.

        Yields:
            The result of each use, or the error that it correctly raised.
        """
        yield from ()

    @property
    def _label(self) -> str:
        return f"{self.type}/{self.name}"

    def _make(self, settings: Mapping[str, Any]) -> Any:
        plugins, _ = self._loaded()
        return self._call(f"making {self._label}", lambda: plugins.make(self.type, self.name, dict(settings)))

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        try:
            yield
        except CATCHABLE as error:
            self._fail_once(
                ("making", self._label, format_error(error)),
                f"Making {self._label} raised {describe_error(error)}. "
                "If it needs settings, return them from the fixture `settings`.",
            )

    def _close(self, provider: Any) -> None:
        # Another test checks closing. After a call that did not return, nothing is called again.
        if not self._has_timed_out:
            with contextlib.suppress(*CATCHABLE):
                self._timed(provider).close()

    def _timed(self, provider: Any) -> Any:
        return TimedProvider(provider, self._label, self._call)

    @contextlib.contextmanager
    def _open(self, settings: Mapping[str, Any]) -> Iterator[Any]:
        with self._making():
            provider = self._make(settings)
        try:
            yield provider
        finally:
            self._close(provider)

    def _hints(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the declared types of the settings."""
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
                f"{self._label} refuses a wrong {key} with {message!r}. Raise a ValueError that names the setting, "
                "such as SettingError(key, problem). A config_class does that automatically.",
            )
            shown = is_secret_key(key) and any(_is_shown(secret, message) for secret in texts_in(value))
            require(not shown, f"{self._label} shows the value of {key} in its error, but it is a secret.")
        else:
            self._close(provider)
            fail(
                f"{self._label} accepts {value!r} for {key}. Refuse it when the provider is made: with the type and "
                "the validators of its config_class, or in validate_config. A class that does not derive from one of "
                "Deckwright's can read its settings with deckwright.config.settings.read_settings."
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
                    shown["its results"] = "\n".join(
                        _as_text(result) for result in self.uses(self._timed(provider), folder)
                    )
                except CATCHABLE as error:
                    shown["an error"] = format_traceback(error)
                finally:
                    self._close(provider)
        shown["its logs"] = caplog.text
        shown["its printed text"] = printed.getvalue()
        for location, text in shown.items():
            found = any(_is_shown(secret, text) for secret in secrets)
            require(
                not found,
                f"{self._label} shows a secret in {location}. Remove it, or mask it with "
                "deckwright.secrets.redact(text, secret_values(self.config)).",
            )


def connection_result(provider: Any) -> object:
    """Return what `check_connection` returned, or the error that it raised."""
    try:
        return provider.check_connection()
    except ProviderError as error:
        return error


def _consume(results: Iterator[object]) -> None:
    with contextlib.suppress(*CATCHABLE):  # other tests check that
        for _ in results:
            pass


def _as_text(result: object) -> str:
    failure = getattr(result, "failure", None) or result
    return f"{result!r} {failure}"


def _is_shown(secret: str, text: str) -> bool:
    forms = (secret, repr(secret)[1:-1], quote(secret, safe=""))
    return len(secret) >= _MIN_LENGTH and any(form in text for form in forms)


def _is_text(hint: Any) -> bool:
    return hint in (None, Any, str) or str in typing.get_args(hint)


def _rejects_a_table(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is Union or origin is types.UnionType:
        return all(map(_rejects_a_table, typing.get_args(hint)))
    return hint in _SIMPLE_TYPES or origin in (Literal, list, tuple)
