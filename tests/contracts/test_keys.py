"""The contracts of media providers find out keys by which a build would make things twice, or take one for another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deckwright import MediaProvider, MediaRequest, MediaResult
from deckwright.testing import AudioProviderContract

Key = Callable[[Any, MediaRequest], Any]

COUNT = itertools.count()
SETTINGS = {"api_key": "a-key-of-mine", "folder": "bells"}


class Bell(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        raise NotImplementedError


class OldBell(MediaProvider):
    """As providers were written for the old contract: the constructor of the base class is not called."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.own = config

    @property
    def supported_types(self) -> list[str]:  # type: ignore[override]
        return ["audio"]

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        raise NotImplementedError


class Contract(AudioProviderContract):
    name = "bell"

    def require(self, provider: Any, folder: Path) -> None:
        self.test_at_once_is_a_positive_number(provider)
        self.test_cache_key_identifies_the_request(provider, folder)
        self.test_cache_key_holds_no_secret(SETTINGS, provider, folder)


def bell(**members: Any) -> Any:
    return type("BrokenBell", (Bell,), members)(SETTINGS)


def keyed(key: Key) -> Any:
    return bell(cache_key=key)


@pytest.mark.parametrize("provider", [Bell(SETTINGS), OldBell(SETTINGS)], ids=["new", "old"])
def test_what_is_inherited_keeps_every_promise(provider: MediaProvider, tmp_path: Path) -> None:
    Contract().require(provider, tmp_path)
    assert provider.at_once == 1


def test_a_key_of_ones_own_may_look_at_less(tmp_path: Path) -> None:
    def key(provider: Any, request: MediaRequest) -> Mapping[str, Any]:
        return {"word": request.content.lower()}

    Contract().require(keyed(key), tmp_path)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (bell(at_once=0), "at_once of audio/bell is 0. It must be a whole number of at least 1."),
        (bell(at_once=True), "is True"),
        (bell(at_once="four"), "is 'four'"),
        (bell(at_once=property(lambda self: 1 // 0)), "at_once raised ZeroDivisionError"),
        (keyed(lambda self, request: {"file": request.output_path}), "cannot be written as JSON: Object of type"),
        (keyed(lambda self, request: {"file": str(request.output_path), "word": request.content}), "equal requests"),
        (keyed(lambda self, request: {"time": next(COUNT), "word": request.content}), "equal requests"),
        (keyed(lambda self, request: {"params": request.params}), "and for another word"),
        (keyed(lambda self, request: {"word": request.content, **self.config}), "holds a secret"),
        (keyed(lambda self, request: {"word": request.content, "at": f"/{self.config['api_key']}/"}), "a secret"),
        (keyed(lambda self, request: request.params["accent"]), "cache_key raised KeyError"),
    ],
)  # fmt: skip
def test_a_promise_that_is_broken_is_reported(provider: MediaProvider, expected: str, tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception) as caught:
        Contract().require(provider, tmp_path)
    assert expected in str(caught.value)
