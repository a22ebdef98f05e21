"""A secret never shows: in failures, logs, reprs, problems and errors, however the provider fails."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import attrs
import pytest

from deckwright import (
    MediaProvider,
    MediaRequest,
    MediaResult,
    ProviderError,
    ProviderInfo,
    ProviderRegistry,
    ProvidersFailedError,
    hookimpl,
)
from deckwright.secrets import FromEnvironment, is_secret_key, redact, secret_values

pytestmark = pytest.mark.usefixtures("clean_folder")

# With what a repr, JSON or URL writes in another way.
SECRET = "hunter2 '\"ü\\/\n"


@attrs.define
class Settings:
    api_key: str = ""
    volume: float = 0.0


class Indiscreet(MediaProvider):
    """A provider that tells its settings to everybody."""

    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        raise ProviderError(f"refused: {self.config}", hint=f"try another than {self.config}")

    def close(self):
        raise RuntimeError(f"cannot close {self.config}")


def raising(error: Callable[[dict[str, Any]], Exception]) -> Callable[[dict[str, Any]], Any]:
    def make(config: dict[str, Any]) -> Any:
        raise error(config)

    return make


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "in words": raising(lambda config: ValueError("bad key " + str(_leaf(config)))),
    "as a repr": raising(lambda config: ValueError(f"bad config {config!r}")),
    "as a key": raising(lambda config: KeyError(_leaf(config))),
    "in a file name": raising(lambda config: OSError(2, "No such file", str(_leaf(config)))),
    "as JSON": raising(lambda config: ValueError(json.dumps(config))),
    "in a URL": raising(lambda config: ConnectionError("GET /?key=" + quote(_leaf(config), safe=""))),
    "in an error of ours": raising(lambda config: ProviderError(f"bad {config}", hint=f"not {config}")),
    "by what it makes": lambda config: str(config),
}


def _leaf(config: Any) -> str:
    """Return the secret, however deep it lies."""
    return _leaf(next(iter(config.values()))) if isinstance(config, dict) else config


class Plugin:
    def __init__(self, make: Callable[[dict[str, Any]], Any]) -> None:
        self._make = make

    @hookimpl
    def describe_media_providers(self):
        return [ProviderInfo("audio", "cloud")]

    @hookimpl
    def register_media_provider(self, type, name, config):
        return self._make(config)


def everything_told(sections: dict[str, Any], make: Callable[[dict[str, Any]], Any], caplog: Any) -> str:
    """Set up a registry every way, and return all that a person could come to read of it."""
    caplog.set_level(logging.DEBUG)
    registry = ProviderRegistry.from_config(sections, plugins=[Plugin(make)])
    told = [repr(registry), str(registry.failures), repr(registry.failures), *map(repr, registry.problems())]
    told += [repr(registry.config), repr(registry.plugins), str(registry.plugins.records)]
    told += [f"{provider!r} {provider}" for provider in registry["audio"].values()]
    has_failed = bool(registry.problems())
    registry.close()
    told += map(repr, registry.problems())  # now with those that could not be closed
    if has_failed:
        with pytest.raises(ProvidersFailedError) as caught:
            ProviderRegistry.from_config(sections, plugins=[Plugin(make)], strict=True)
        told += [str(caught.value), repr(caught.value), str(caught.value.diagnostics)]
        told += [repr(caught.value.__cause__), repr(caught.value.__context__)]
    return "\n".join([*told, caplog.text])


def shows(told: str) -> bool:
    """Say whether any part of the secret that can be recognised is there."""
    return "hunter2" in told


def test_this_test_would_notice() -> None:
    assert all(shows(form) for form in (SECRET, repr(SECRET), f"{ {'a': SECRET} }"))


WAYS = {
    "under a telling name": {"audio": {"cloud": {"api_key": SECRET, "pipelines": ["*"]}}},
    "in a table": {"audio": {"cloud": {"headers": {"X-Api-Key": SECRET}, "pipelines": ["*"]}}},
    "from the environment": {"audio": {"cloud": {"who": "${THE_SECRET}", "pipelines": ["*"]}}},
    "within a text": {"audio": {"cloud": {"header": "Bearer ${THE_SECRET}", "pipelines": ["*"]}}},
    "in an instance with a dot": {
        "audio": {"my.cloud": {"type": "cloud", "who": "${THE_SECRET}", "pipelines": ["*"]}}
    },
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("providers", WAYS.values(), ids=WAYS)
def test_it_does_not_show_when_the_provider_tells_it(
    providers: dict[str, Any],
    fault: Callable[[dict[str, Any]], Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THE_SECRET", SECRET)
    told = everything_told({"providers": providers}, fault, caplog)
    assert "cloud" in told
    assert not shows(told)


@pytest.mark.parametrize("key", ["api_key", "who"])
@pytest.mark.parametrize(
    "section", [["apis", "cloud"], ["apis", "base"], ["audio_generation", "providers", "cloud"]]
)
def test_it_does_not_show_when_it_is_a_shared_setting(
    section: list[str], key: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET", SECRET)
    data: dict[str, Any] = {key: "${THE_SECRET}"}
    for part in reversed(section):
        data = {part: data}
    told = everything_told(
        {"providers": {"audio": {"cloud": {"pipelines": ["*"]}}}, **data}, FAULTS["in words"], caplog
    )
    assert "bad key" in told
    assert not shows(told)


@pytest.mark.parametrize("providers", WAYS.values(), ids=WAYS)
def test_it_does_not_show_when_all_is_well_or_closing_fails(
    providers: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET", SECRET)
    told = everything_told({"providers": providers}, Indiscreet, caplog)
    assert "cannot close" in told
    assert not shows(told)


def test_a_wrong_setting_does_not_show_what_came_from_the_environment(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET", SECRET)

    class Typed(Indiscreet):
        config_class = Settings

    told = everything_told(
        {"providers": {"audio": {"cloud": {"volume": "${THE_SECRET}", "pipelines": ["*"]}}}}, Typed, caplog
    )
    assert "should be a number" in told
    assert not shows(told)


def test_a_result_does_not_show_it(tmp_path: Path) -> None:
    result = Indiscreet({"api_key": SECRET}).generate_media(
        MediaRequest("audio", "gato", {}, tmp_path / "x.mp3")
    )
    assert "refused" in str(result.error)
    assert not shows(f"{result} {result.failure!r} {result.failure} {result.failure and result.failure.hint}")


def test_an_observer_is_not_told_it() -> None:
    heard: list[str] = []

    class Ear:
        @hookimpl
        def provider_failed(self, failure):
            heard.append(f"{failure} {failure!r}")

    ProviderRegistry.from_config(
        {"providers": {"audio": {"cloud": {"api_key": SECRET, "pipelines": ["*"]}}}},
        plugins=[Plugin(FAULTS["as a repr"]), Ear()],
    )
    [told] = heard
    assert not shows(told)


@pytest.mark.parametrize(
    "key",
    ["api_key", "apikey", "API-Key", "X-Api-Key", "apiKey", "key", "access_key", "secret", "client_secret", "token",
     "access_token", "password", "passwd", "credentials", "Authorization"],
)  # fmt: skip
def test_names_that_tell_of_a_secret(key: str) -> None:
    assert is_secret_key(key)
    assert list(secret_values({"a": [{key: ["x", {"y": "z"}]}]})) == ["x", "z"]


@pytest.mark.parametrize("key", ["name", "voice", "files", "keyboard", "pipelines", "author"])
def test_names_that_do_not(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        quote,
        lambda text: quote(text, safe=""),
        quote_plus,
    ],
)
def test_a_secret_is_masked_however_it_is_written(written: Callable[[str], str]) -> None:
    told = redact(f"a {written(SECRET)} b", [SECRET])
    assert not shows(told)
    assert "***" in told


def test_the_longest_secret_is_masked_first_and_short_ones_are_left() -> None:
    assert redact("abcd abcdef ab", ["ab", "abcd", "abcdef"]) == "*** *** ab"


class TestFromTheEnvironment:
    """What comes from `${VAR}` is a secret wherever it stands, at set-up and later."""

    def test_in_what_a_provider_says_when_it_is_used(
        self, clean_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOGIN", "sk-LEAKLEAK")

        class Door(MediaProvider):
            supported_types = ("audio",)

            def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
                raise RuntimeError(f"denied to {self.config['login']}")

        class Doors:
            @hookimpl
            def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> Any:
                return Door(config) if name == "door" else None

        config = {"providers": {"audio": {"door": {"login": "user ${LOGIN}", "pipelines": ["*"]}}}}
        registry = ProviderRegistry.from_config(config, plugins=[Doors()])
        result = registry.get("audio", "door").generate_audio("a", clean_folder / "a.mp3")
        assert result.error == "RuntimeError: denied to user ***"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("GET https://me:pw12345@host/a failed", "GET https://***@host/a failed"),
            ("https://host/?word=a&api_key=abc&x=1", "https://host/?word=a&api_key=***&x=1"),
            ("nothing at https://host/?word=key", "nothing at https://host/?word=key"),
        ],
    )
    def test_urls_lose_theirs_whoever_put_them_there(self, text: str, shown: str) -> None:
        assert redact(text, ()) == shown


def test_text_from_the_environment_is_text_in_every_other_way() -> None:
    text = FromEnvironment("Bearer abcdef")
    text.values = ("abcdef",)
    for again in (
        copy.deepcopy(text),
        *(pickle.loads(pickle.dumps(text, protocol)) for protocol in range(6)),
    ):
        assert (again, again.values) == ("Bearer abcdef", ("abcdef",))
    assert json.dumps({"a": text}) == '{"a": "Bearer abcdef"}'
    assert {text: 1}["Bearer abcdef"] == 1
    assert list(secret_values({"any": FromEnvironment("x")})) == []
