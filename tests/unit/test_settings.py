"""From what a configuration holds to a provider's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import pytest
from msgspec import Meta

from deckwright import ConfigError, SettingError
from deckwright.config.settings import read_settings, setting_names, unknown_setting


@attrs.frozen
class Voice:
    name: str
    speed: Annotated[float, Meta(ge=0.5, le=2, description="how fast")] = 1.0
    takes: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    loud: bool = False
    style: Literal["plain", "merry"] = "plain"
    accent: str | None = None
    folder: Path = Path()
    tags: list[str] = attrs.field(factory=list)
    range: tuple[float, ...] = ()
    extra: dict[str, Any] = attrs.field(factory=dict)
    anything: Any = None
    api_key: str = attrs.field(default="", validator=attrs.validators.matches_re("[a-z0-9]*"))
    either: int | list[str] = 0
    level: int = attrs.field(default=0, converter=int)


def read(**values: Any) -> Voice:
    return read_settings(Voice, {"name": "Ana", **values})


def error_of(**values: Any) -> str:
    with pytest.raises(SettingError) as caught:
        read(**values)
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)
    assert [caught.value.key] == list(values)
    return str(caught.value)


def test_defaults_are_defaults() -> None:
    assert read() == Voice("Ana")


@pytest.mark.parametrize(
    ("key", "given", "wanted"),
    [
        ("speed", 2, 2.0),
        ("speed", "1.5", 1.5),
        ("takes", 3, 3),
        ("takes", "3", 3),
        ("takes", 170.0, 170),
        ("takes", 1e300, int(1e300)),
        ("loud", True, True),
        ("loud", "true", True),
        ("loud", "False", False),
        ("style", "merry", "merry"),
        ("accent", "es", "es"),
        ("accent", None, None),
        ("folder", "sounds", Path("sounds")),
        ("folder", "~/sounds", Path.home() / "sounds"),
        ("folder", "~no_such_user/sounds", Path("~no_such_user/sounds")),
        ("tags", ["a", "b"], ["a", "b"]),
        ("tags", ("a",), ["a"]),
        ("range", [1, "2"], (1.0, 2.0)),
        ("extra", {"a": 1}, {"a": 1}),
        ("anything", object, object),
        ("either", "7", 7),
        ("either", ["a"], ["a"]),
        ("level", "4", 4),
    ],
)
def test_values_are_read_as_what_they_should_be(key: str, given: Any, wanted: Any) -> None:
    value = getattr(read(**{key: given}), key)
    assert value == wanted
    assert type(value) is type(wanted)


@pytest.mark.parametrize(
    ("key", "given", "problem"),
    [
        ("name", 3, "name: should be text, not 3"),
        ("name", None, "name: should be text, not None"),
        ("speed", "fast", "speed: should be a number, not 'fast'"),
        ("speed", True, "speed: should be a number, not True"),
        ("speed", 10**400, "speed: should be a number, not 1000"),
        ("takes", 1.5, "takes: should be a whole number, not 1.5"),
        ("takes", float("nan"), "takes: should be a whole number, not nan"),
        ("takes", float("inf"), "takes: should be a whole number, not inf"),
        ("takes", True, "takes: should be a whole number, not True"),
        ("takes", "9" * 5000, "takes: should be a whole number"),
        ("loud", "yes", "loud: should be true or false, not 'yes'"),
        ("loud", 1, "loud: should be true or false, not 1"),
        ("style", "sad", "style: should be one of 'plain', 'merry', not 'sad'"),
        ("style", [], "style: should be one of 'plain', 'merry', not []"),
        ("accent", 3, "accent: should be text, not 3"),
        ("folder", "", "folder: should be a path, not ''"),
        ("tags", "a", "tags: should be a list of text, not 'a'"),
        ("tags", ["a", 1], "tags: should be a list of text, not ['a', 1]"),
        ("range", [1, "x"], "range: should be a list of a number, not [1, 'x']"),
        ("extra", [], "extra: should be a table, not []"),
        ("either", 1.5, "either: should be a whole number or a list of text, not 1.5"),
    ],
)
def test_an_error_of_type_names_the_key_and_the_right_type(key: str, given: Any, problem: str) -> None:
    assert error_of(**{key: given}).startswith(problem)


def test_an_error_of_limits_names_the_limits() -> None:
    assert error_of(speed=9) == "speed: 9 is not allowed (must be 0.5 to 2)"
    assert error_of(speed="0") == "speed: '0' is not allowed (must be 0.5 to 2)"
    assert error_of(takes="0") == "takes: '0' is not allowed (must be >= 1)"


def test_an_error_names_the_missing_setting() -> None:
    with pytest.raises(SettingError, match="name: is required and missing") as caught:
        read_settings(Voice, {})
    assert caught.value.key == "name"


@pytest.mark.parametrize("given", [["HUNTER2"], 31337, "HUNTER2"])
def test_a_secret_is_not_repeated(given: Any) -> None:
    problem = error_of(api_key=given)
    assert "HUNTER2" not in problem
    assert "31337" not in problem
    assert "the given secret" in problem


def test_unknown_settings_are_ignored() -> None:
    assert read(sped=3) == read()


def test_an_unknown_setting_is_reported_with_the_nearest_name() -> None:
    assert unknown_setting("sped", ["speed", "style"]) == "sped: unknown setting, did you mean 'speed'?"
    assert unknown_setting("xyz", ["speed", "style"]) == "xyz: unknown setting"


def test_the_names_of_settings_are_those_that_can_be_given() -> None:
    @attrs.define
    class Partly:
        given: int = 1
        made: int = attrs.field(default=2, init=False)

    assert setting_names(Partly) == {"given"}


def test_an_error_of_the_class_itself_is_reported() -> None:
    @attrs.define
    class Contrary:
        a: int = 0
        b: int = 0

        def __attrs_post_init__(self) -> None:
            if self.a != self.b:
                raise ValueError("a and b should be the same")

    assert read_settings(Contrary, {"a": 1, "b": 1}) == Contrary(1, 1)
    with pytest.raises(SettingError, match="a and b should be the same"):
        read_settings(Contrary, {"a": 1})
