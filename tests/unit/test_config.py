"""Reading a configuration: TOML and JSON, variables, and where each fault is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli

from deckwright import Config, ConfigError
from deckwright.config.providers import read_provider_configs

pytestmark = pytest.mark.usefixtures("clean_folder")

TOML = """\
[build]
language = "es"

[providers.audio.native]
type = "forvo"
pipelines = ["vocabulary"]
"""


def load(text: str, name: str = "deckwright.toml") -> Config:
    Path(name).write_text(text, encoding="utf-8")
    return Config.load(name)


def fault(text: str, name: str = "deckwright.toml") -> str:
    with pytest.raises(ConfigError) as caught:
        read_provider_configs(load(text, name))
    return str(caught.value)


class TestLoading:
    def test_toml_and_json_say_the_same(self) -> None:
        as_toml = load(TOML)
        as_json = load(json.dumps(tomli.loads(TOML)), "deckwright.json")
        assert as_toml.to_dict() == as_json.to_dict()
        assert read_provider_configs(as_toml) == read_provider_configs(as_json)

    def test_a_path_may_be_text(self, clean_folder: Path) -> None:
        load(TOML)
        assert Config.load(str(clean_folder / "deckwright.toml")).get("build.language") == "es"

    def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(self) -> None:
        Path("windows.toml").write_bytes(b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode())
        assert Config.load("windows.toml").get("build.language") == "es"

    def test_the_working_directorys_configuration_is_found_toml_first(self) -> None:
        load('{"build": {"language": "fr"}}', "deckwright.json")
        assert Config.find().get("build.language") == "fr"
        load(TOML)
        assert Config.find().get("build.language") == "es"

    def test_without_one_the_embedded_default_needs_no_account_key_or_network(self) -> None:
        config = Config.find()
        assert config.path is None
        assert list(read_provider_configs(config)["audio"]) == ["pico", "espeak"]
        assert "${" not in str(config.to_dict())

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [
            ("a.toml", b"[providers", "at end of document"),
            ("a.toml", b"x = 1\nx = 2\n", "line 2"),
            ("a.toml", b"x = 2021-02-30", "line 1"),
            ("a.toml", b"x = \xff", "not UTF-8 text"),
            ("a.toml", b"x = " + b"9" * 5000, "a.toml: "),
            ("a.toml", b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
            ("a.toml", b"x." * 5000 + b"x = 1", "a.toml: "),
            ("a.json", b"{", "line 1 column 2"),
            ("a.json", b"", "line 1 column 1"),
            ("a.json", b'{"x": 1,\n "x": 2}', "the key 'x' is written twice"),
            ("a.json", b"[]", "a configuration is an object, not list"),
            ("a.json", b"null", "a configuration is an object, not NoneType"),
            ("a.json", b'{"x": "\xff"}', "not UTF-8 text"),
            ("a.json", b'{"x": ' + b"9" * 5000 + b"}", "a.json: "),
            ("a.json", b"[" * 100_000, "nested too deeply"),
            ("a.json", b'{"x": ' + b"[" * 600 + b"]" * 600 + b"}", "nested too deeply"),
            ("a.yaml", b"x: 1", "ends in .toml or .json"),
            ("a", b"", "ends in .toml or .json"),
        ],
    )
    def test_what_is_not_well_formed_is_told_with_the_file(
        self, name: str, content: bytes, problem: str
    ) -> None:
        Path(name).write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            Config.load(name)
        assert str(caught.value).startswith(f"{name}: ")
        assert problem in str(caught.value)

    @pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b.toml"])
    def test_what_cannot_be_read_is_told(self, name: str) -> None:
        with pytest.raises(ConfigError, match="the configuration cannot be read"):
            Config.load(name)


class TestValues:
    def test_dotted_keys_lead_into_tables(self) -> None:
        config = Config({"a": {"b": {"c": 1}}, "x": None})
        assert config.get("a.b.c") == 1
        assert config.get("a.b") == {"c": 1}
        assert config.get("a.b.c.d") is None
        assert config.get("a.z", "default") == "default"
        assert config.get("x", "default") is None

    def test_variables_are_replaced_everywhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NAME", "Ana")
        monkeypatch.setenv("EMPTY", "")
        config = Config(
            {
                "text": "I am ${NAME}${EMPTY}, ${NAME}!",
                "list": ["${NAME}", ["${NAME}"], {"a": "${NAME}"}],
                "number": 1,
                "${NAME}": "${OTHER:a default: with colons}",
                "none": "${OTHER:}",
                "not one": "$NAME ${1X} ${} ${NAME",
            }
        )
        assert config.to_dict() == {
            "text": "I am Ana, Ana!",
            "list": ["Ana", ["Ana"], {"a": "Ana"}],
            "number": 1,
            "${NAME}": "a default: with colons",
            "none": "",
            "not one": "$NAME ${1X} ${} ${NAME",
        }
        assert config.get("list") == ["Ana", ["Ana"], {"a": "Ana"}]

    def test_what_a_variable_holds_is_not_read_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OUTER", "${INNER}")
        monkeypatch.setenv("INNER", "x")
        assert Config({"a": "${OUTER}"}).get("a") == "${INNER}"

    def test_an_unset_variable_is_told_with_its_place_and_the_mend(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NOT_SET", raising=False)
        config = load('[a]\nx = 1\ny = ["${NOT_SET}"]\n')
        for read in (config.to_dict, lambda: config.get("a"), lambda: config.get("a.y")):
            with pytest.raises(ConfigError) as caught:
                read()
            assert str(caught.value).startswith("deckwright.toml, line 3, a.y: ")
            assert "NOT_SET is not set" in str(caught.value)
            assert "${NOT_SET:a default}" in str(caught.value)
        assert config.get("a.x") == 1

    def test_what_is_given_out_is_not_what_is_kept(self) -> None:
        data = {"a": {"b": [1]}}
        config = Config(data)
        config.to_dict()["a"]["b"].append(2)
        config.get("a")["b"].append(2)
        assert data == {"a": {"b": [1]}}

    def test_nothing_of_it_shows_in_its_repr(self) -> None:
        assert "hunter2" not in repr(Config({"password": "hunter2"}))


@attrs.define
class Shelf:
    books: int = 0
    owner: str = ""


class TestSections:
    def test_a_section_is_read_as_settings(self) -> None:
        assert Config({"shelf": {"books": 3}}).section("shelf", Shelf) == Shelf(3)
        assert Config({}).section("shelf", Shelf) == Shelf()

    @pytest.mark.parametrize(
        ("shelf", "problem"),
        [
            (3, "shelf: should be a table"),
            ({"boks": 3}, "shelf: boks: unknown setting, did you mean 'books'?"),
            ({"books": "many"}, "shelf.books: "),
            ({3: 4}, "shelf: 3: unknown setting"),
        ],
    )
    def test_a_wrong_one_is_told_with_its_place(self, shelf: Any, problem: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Config({"shelf": shelf}).section("shelf", Shelf)
        assert problem in str(caught.value)


class TestPlaces:
    """A fault is told with file, line and key; no line beats a wrong one."""

    def test_a_missing_setting_has_the_line_of_its_table(self) -> None:
        text = '[providers.audio.a]\npipelines = ["*"]\n\n[providers.audio.b]\ntype = "forvo"\n'
        assert fault(text).startswith("deckwright.toml, line 4, providers.audio.b: ")

    def test_a_wrong_setting_has_its_own_line(self) -> None:
        text = '[providers.audio.a]\ntype = "forvo"\npipelines = 3\n'
        assert fault(text).startswith("deckwright.toml, line 3, providers.audio.a.pipelines: ")

    def test_so_it_is_in_a_table_within_a_line(self) -> None:
        assert "line 2, providers.audio.a" in fault("[providers.audio]\na = {pipelines = 3}\n")

    def test_and_in_json(self) -> None:
        text = """{
          "audio_generation": {},
          "providers": {
            "sync": {"audio": {"pipelines": ["*"], "b": {}}},
            "audio": {
              "a": {"pipelines": ["*"]},
              "b": {
                "pipelines": 3
              },
              "c": {}
            }
          }
        }"""
        told = fault(text, "deckwright.json")
        assert "deckwright.json, line 8, providers.audio.b.pipelines: " in told
        assert "deckwright.json, line 10, providers.audio.c: " in told

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.toml", "[providers.audio.a]\n[providers.audio.b]\nvolume = 1\n"),
            ("a.toml", "[providers.audio.a]\n  [providers.audio.b]\n  volume = 1\n"),
            ("a.json", '{"providers": {"audio":\n {"a": {},\n "b": {"volume":\n 1}}}}'),
        ],
    )
    def test_the_line_of_another_instance_is_never_given(self, name: str, text: str) -> None:
        assert load(text, name).where("providers.audio.a.volume").split(", ")[1] in ("line 1", "line 2")

    def test_what_was_not_read_from_a_file_has_its_key(self) -> None:
        assert Config({}).where("providers.audio.a") == "providers.audio.a"

    def test_what_is_not_found_has_file_and_key(self) -> None:
        assert load(TOML).where("nowhere.at.all") == "deckwright.toml, nowhere.at.all"

    def test_many_faults_in_a_large_file_are_placed_in_reasonable_time(self) -> None:
        names = [f"native_number_{i}" for i in range(3000)]
        told = fault("".join(f"[providers.audio.{name}]\n" for name in names))
        assert f"line 3000, providers.audio.{names[-1]}: " in told


class TestOldFormat:
    @pytest.mark.parametrize("name", ["deckwright.toml", "deckwright.json"])
    def test_what_to_write_instead_works_when_it_is_written(self, name: str) -> None:
        old = {"audio": {"type": "forvo", "country": 'e"s', "n": 3, "yes": True, "two words": [1, "a"]}}
        told = fault(json.dumps(old), "deckwright.json") if name.endswith("json") else self.told(old)
        _, _, advice = told.partition("writing instead:\n")
        found = read_provider_configs(load(advice, name))
        assert found["audio"]["forvo"] == {
            "type": "forvo",
            "pipelines": ["*"],
            "country": 'e"s',
            "n": 3,
            "yes": True,
            "two words": [1, "a"],
        }

    def told(self, data: dict[str, Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            read_provider_configs(Config(data))
        return str(caught.value)

    def test_secrets_are_not_repeated(self) -> None:
        told = self.told({"audio": {"type": "forvo", "api_key": "hunter2", "headers": {"token": "hunter3"}}})
        assert "hunter" not in told
        assert "api_key" in told
