"""JSON files: the data as it is, and never half of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deckwright import DataError, ReadOnlyError
from deckwright_builtins.json import describe_media_providers, register_media_provider


def provider(base_path, **config):
    return register_media_provider("data", "json", {"base_path": str(base_path), **config})


@pytest.fixture
def data(tmp_path):
    return provider(tmp_path)


def test_the_plugin_answers_to_its_own_name_only():
    assert register_media_provider("data", "csv", {}) is None
    assert register_media_provider("sync", "json", {}) is None
    (info,) = describe_media_providers()
    assert (info.type, info.name, info.traits.reads) == ("data", "json", (".json",))


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


class TestLoading:
    def test_the_data_is_as_it_is(self, tmp_path, data):
        (tmp_path / "nouns.json").write_text('[{"word": "niño", "rank": 1.5, "seen": null}]', "utf-8")
        assert data.load_data("nouns") == [{"word": "niño", "rank": 1.5, "seen": None}]
        assert data.load_data("nouns.json") == data.load_data("nouns")

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_says_the_encoding(self, tmp_path, data, encoding):
        (tmp_path / "a.json").write_bytes('["é"]'.encode(encoding))
        assert data.load_data("a") == ["é"]

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b'{\n  "a": 1,\n  b\n}', r"a\.json, line 3, column 3: "),
            (b"", r"a\.json is empty"),
            (b"[NaN]", "NaN is not a JSON value"),
            (b"-Infinity", "-Infinity is not"),
            (b'[{"a": 1, "b": 2, "a": 3}]', "one object has the key 'a' twice"),
            (b"[" * 200_000, "nested too deeply"),
            (b'["\n\xff"]', r"a\.json, line 2: the byte 0xFF"),
            (b"1" * 10_000, r"a\.json: .*digits"),
        ],
    )
    def test_faults_are_named_with_their_place(self, tmp_path, data, content, what):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match=what):
            data.load_data("a")

    @given(st.binary() | st.text(st.sampled_from('[]{}":,01eE-+. \n\\untrfalsNI')).map(str.encode))
    def test_any_bytes_are_data_or_a_data_error(self, tmp_path_factory, content):
        folder = tmp_path_factory.getbasetemp()
        (folder / "any.json").write_bytes(content)
        try:
            loaded = provider(folder).load_data("any")
        except DataError as error:
            assert "any.json" in error.message  # noqa: PT017 - either outcome is right
        else:
            assert loaded == json.loads(content)


class TestSaving:
    def test_the_file_is_for_people_too(self, tmp_path, data):
        assert data.save_data("sub/nouns", {"b": "niño", "a": [1]}) is True
        text = (tmp_path / "sub" / "nouns.json").read_text("utf-8")
        assert text == '{\n  "b": "niño",\n  "a": [\n    1\n  ]\n}\n'

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
            ),
        )
    )
    def test_saved_and_loaded_is_the_same(self, tmp_path_factory, value):
        data = provider(tmp_path_factory.getbasetemp())
        data.save_data("same", value)
        loaded = data.load_data("same")
        assert loaded == value
        assert json.dumps(loaded) == json.dumps(value)  # the order of the keys too

    @pytest.mark.parametrize(
        "value",
        [{"a": {1, 2}}, [float("nan")], "\ud800", {1: "a", "1": "b"}, {(1, 2): 3}, nested(200_000), 10**5000],
        ids=["set", "nan", "surrogate", "same keys", "tuple key", "nested", "digits"],
    )
    def test_what_is_not_json_leaves_the_file_as_it_was(self, tmp_path, data, value):
        (tmp_path / "a.json").write_text('"old"')
        with pytest.raises(DataError, match=r"a\.json"):
            data.save_data("a", value)
        assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
        assert data.load_data("a") == "old"

    def test_read_only_is_read_only(self, tmp_path):
        data = provider(tmp_path, read_only=True)
        for write in (lambda: data.save_data("a", 1), lambda: data.backup_data("a")):
            with pytest.raises(ReadOnlyError):
                write()
        data.set_read_only(False)
        data.save_data("a", 1)
        assert data.load_data("a") == 1


class TestManagedFiles:
    @pytest.mark.parametrize("files", [["nouns"], ["nouns.json"]])
    @pytest.mark.parametrize("identifier", ["nouns", "nouns.json"])
    def test_both_spellings_are_one_file(self, tmp_path, files, identifier):
        data = provider(tmp_path, files=files)
        data.save_data(identifier, 1)
        assert data.load_data("nouns") == 1
        assert data.exists(identifier)
        assert data.managed_files == files

    def test_what_is_not_managed_is_another_providers(self, tmp_path):
        provider(tmp_path).save_data("verbs", 1)
        data = provider(tmp_path, files=["nouns"])
        for use in (data.load_data, lambda name: data.save_data(name, 2)):
            with pytest.raises(DataError, match="only nouns"):
                use("verbs")
        assert not data.exists("verbs")
        assert data.list_identifiers() == []


class TestIdentifiers:
    def test_they_are_listed_without_ending_sorted(self, tmp_path, data):
        for name in ("verbs", "sub/nouns", "a.b", "a.json.json"):
            data.save_data(name, name)
        (tmp_path / "other.txt").touch()
        assert data.list_identifiers() == ["a.b", "a.json.json", "sub/nouns", "verbs"]
        assert [data.load_data(name) for name in data.list_identifiers()] == data.list_identifiers()


class TestBackups:
    def test_a_backup_keeps_what_was(self, data):
        data.save_data("sub/a", "old")
        copy = data.backup_data("sub/a.json")
        data.save_data("sub/a", "new")
        assert copy.startswith("sub/a.")
        assert data.load_data(copy) == "old"
        assert data.list_identifiers() == ["sub/a"]

    def test_backups_never_collide(self, data):
        data.save_data("a", 1)
        assert len({data.backup_data("a") for _ in range(20)}) == 20

    def test_a_provider_reads_the_backups_of_what_it_manages(self, tmp_path):
        data = provider(tmp_path, files=["a"])
        data.save_data("a", 1)
        assert data.load_data(data.backup_data("a")) == 1

    def test_even_a_broken_file_can_be_kept(self, tmp_path, data):
        (tmp_path / "a.json").write_bytes(b"\xff{")
        copy = data.backup_data("a")
        assert (tmp_path / f"{copy}.json").read_bytes() == b"\xff{"

    def test_nothing_has_no_backup(self, data):
        assert data.backup_data("a") is None
        assert data.list_identifiers() == []
