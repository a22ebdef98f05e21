"""Any configuration gives a result or a DeckwrightError, never another exception."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from deckwright import (
    Config,
    DeckwrightError,
    Diagnostic,
    MediaProvider,
    ProviderRegistry,
    SettingError,
    hookimpl,
)
from deckwright.config.providers import read_provider_configs
from deckwright.config.settings import read_settings

pytestmark = pytest.mark.usefixtures("clean_folder")

WORDS = [
    "providers", "audio", "image", "sync", "data", "apis", "base", "plugins", "build", "audio_generation",
    "type", "pipelines", "files", "api_key", "forvo", "json", "pico", "csv", "any", "*", "vocabulary", "",
    "modules", "paths", "disable", "prefer", "installed", "base_path", "volume", "true", "~", "~x/y.py", "a.b",
    "${HOME}", "${NOT_SET}", "${NOT_SET:x}", "\0", "\ud800",
]  # fmt: skip
texts = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.just(10**400)
    | st.dates()
    | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner, max_size=4),
    max_leaves=12,
)
tables = st.dictionaries(texts | st.integers() | st.none(), values, max_size=4)
# Nearly right, so that what lies deeper is reached too.
instances = st.dictionaries(
    texts,
    st.fixed_dictionaries({"pipelines": st.just(["*"])}, optional={"type": texts, "x": values}),
    max_size=3,
)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "providers": values | st.dictionaries(texts, instances | values, max_size=3),
        "apis": values | st.dictionaries(texts, tables, max_size=3),
        "audio_generation": values,
        "audio": st.fixed_dictionaries({"type": texts}, optional={"x": values, "api_key": values}),
        "plugins": values
        | st.fixed_dictionaries(
            {},
            optional={
                "paths": st.lists(texts, max_size=2),
                "modules": st.lists(texts, max_size=2),
                "disable": st.lists(texts, max_size=2),
            },
        ),
    },
)


class AnyProvider(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        raise NotImplementedError


class AnyPlugin:
    """Makes a provider of any name."""

    @hookimpl
    def register_media_provider(self, type, name, config):
        return AnyProvider(config) if type == "audio" else None


def use(config: Config) -> None:
    """Do everything that can be done with a configuration."""
    for read in (Config.to_dict, read_provider_configs, lambda config: config.get("providers.audio")):
        with suppress(DeckwrightError):
            read(config)
    for strict in (False, True):
        with suppress(DeckwrightError):
            registry = ProviderRegistry.from_config(config, plugins=[AnyPlugin()], strict=strict)
            assert all(isinstance(problem, Diagnostic) for problem in registry.problems())
            registry.for_pipeline("vocabulary")
            registry.close()


names_of_plugins = st.lists(
    st.sampled_from(
        ["", ".", "..", "~", "~x/y.py", "a.py", "a", "a.b", "/", "\0", "\ud800.py", "json", "*", "a\nb"]
    ),
    max_size=3,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["paths", "modules", "disable", "prefer"], names_of_plugins | values)
    )
)
def test_any_plugins_section(plugins: dict[str, Any]) -> None:
    use(Config({"plugins": plugins, "providers": {"audio": {"any": {"pipelines": ["*"]}}}}))


@given(configurations | tables)
def test_any_nested_mapping(data: dict[Any, Any]) -> None:
    use(Config(data))


def file_with(content: bytes, suffix: str) -> Path:
    path = Path(tempfile.gettempdir(), f"deckwright-properties-{os.getpid()}{suffix}")
    path.write_bytes(content)
    return path


@pytest.fixture
def scratch(clean_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tempfile, "tempdir", str(clean_folder))
    return


toml_like = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "=",
            ".",
            '"',
            "'",
            "\n",
            "{",
            "}",
            ",",
            "#",
            "1",
            "-",
            "e9",
            "2020-01-01",
            "\\u",
            "\0",
            "é",
        ]
    )
    | texts,
    max_size=25,
).map(" ".join)
json_like = values.map(lambda value: json.dumps(value, default=str)) | toml_like


@given(st.sampled_from([".toml", ".json"]), st.binary(max_size=60))
@pytest.mark.usefixtures("scratch")
def test_any_bytes(suffix: str, content: bytes) -> None:
    with suppress(DeckwrightError):
        use(Config.load(file_with(content, suffix)))


@given(toml_like)
@pytest.mark.usefixtures("scratch")
def test_anything_like_toml(text: str) -> None:
    with suppress(DeckwrightError):
        use(Config.load(file_with(text.encode("utf-8", "surrogatepass"), ".toml")))


@given(json_like | configurations.map(lambda data: json.dumps(data, default=str)))
@pytest.mark.usefixtures("scratch")
def test_anything_like_json(text: str) -> None:
    with suppress(DeckwrightError):
        use(Config.load(file_with(text.encode("utf-8", "surrogatepass"), ".json")))


@given(tables, st.lists(texts, max_size=4).map(".".join))
def test_a_dotted_key_leads_to_the_value_or_the_default(data: dict[Any, Any], key: str) -> None:
    default = object()
    value: Any = data
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) and part in value else default
    with suppress(DeckwrightError):
        found = Config(data).get(key, default)
        assert found is default if value is default else type(found) is type(value)


@given(tables)
def test_without_variables_nothing_is_replaced(data: dict[Any, Any]) -> None:
    if "${" not in repr(data):
        assert repr(Config(data).to_dict()) == repr(data)


@given(
    before=st.text(alphabet="ab $:{}", max_size=5),
    value=st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    after=st.text(alphabet="ab :}", max_size=5),
)
def test_a_variable_is_replaced_by_just_what_it_holds(before: str, value: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_VARIABLE", value)
        patch.delenv("NOT_SET", raising=False)
        before = before.replace("${", "")
        config = Config({"a": {"b": [before + "${A_VARIABLE}" + after]}})
        assert config.get("a.b") == [before + value + after]
        default = value.replace("}", "")
        assert Config({"a": f"{before}${{NOT_SET:{default}}}{after}"}).get("a") == before + default + after


@attrs.define
class Everything:
    text: str = ""
    yes: bool = False
    whole: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    number: Annotated[float, Meta(le=1)] = 0.5
    path: Path = Path()
    choice: Literal["a", "b"] = "a"
    maybe: int | None = None
    names: list[str] = attrs.field(factory=list)
    pair: tuple[float, ...] = ()
    table: dict[str, Any] = attrs.field(factory=dict)
    api_key: Annotated[str, Meta(max_length=9)] = ""


near = scalars | st.sampled_from(["1", "1.5", "nan", "inf", "1_0", "true", "~x/y", "9" * 5000, "a", 10**400])


@given(
    st.dictionaries(
        st.sampled_from([field.name for field in attrs.fields(Everything)]),
        near | st.lists(near, max_size=2) | values,
    )
)
def test_settings_are_of_their_types_or_a_setting_error(given: dict[str, Any]) -> None:
    with suppress(SettingError):
        read = read_settings(Everything, given)
        assert isinstance(read.text, str)
        assert isinstance(read.yes, bool)
        assert type(read.whole) is int
        assert read.whole >= 1
        assert type(read.number) is float
        assert read.number <= 1 or math.isnan(read.number)
        assert isinstance(read.path, Path)
        assert read.choice in ("a", "b")
        assert read.maybe is None or type(read.maybe) is int
        assert all(isinstance(name, str) for name in read.names)
        assert all(type(item) is float for item in read.pair)
        assert isinstance(read.table, dict)
