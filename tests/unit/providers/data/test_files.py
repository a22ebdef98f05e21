"""What holds for every provider that keeps its data in files: where they are, and how they are written."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from deckwright import DataError
from deckwright_builtins import csv, json

LISTS = {
    "csv": (csv.register_media_provider, "words.csv", b"word\nold\n", [{"word": "new"}]),
    "json": (json.register_media_provider, "words.json", b'[{"word": "old"}]', [{"word": "new"}]),
}


@pytest.fixture(params=sorted(LISTS))
def kind(request):
    return request.param


@pytest.fixture
def name(kind):
    return LISTS[kind][1]


@pytest.fixture
def content(kind):
    return LISTS[kind][2]


@pytest.fixture
def rows(kind):
    return LISTS[kind][3]


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    return folder


@pytest.fixture
def data(kind, base):
    return LISTS[kind][0]("data", kind, {"base_path": str(base)})


def with_symlink(link, target):
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system allows no symbolic links")


class TestNothingLeadsOutOfTheFolder:
    @pytest.mark.parametrize(
        "folder", ["../", "sub/../../", "./", "/", "//", "sub//", "C:", "C:/", "..\\", "C:\\", "\\", "a\0b/"]
    )
    def test_by_its_spelling(self, data, base, name, content, rows, folder):
        (base.parent / name).write_bytes(content)
        for use in (data.load_data, lambda identifier: data.save_data(identifier, rows)):
            with pytest.raises(DataError, match="the path of a file"):
                use(folder + name)
        assert not data.exists(folder + name)
        assert (base.parent / name).read_bytes() == content
        assert list(base.iterdir()) == []

    def test_by_an_absolute_path(self, data, base, name, content):
        (base / name).write_bytes(content)
        with pytest.raises(DataError):
            data.load_data(str(base / name))

    @pytest.mark.parametrize("identifier", ["", ".", ".."])
    def test_or_means_no_file_at_all(self, data, identifier):
        with pytest.raises(DataError):
            data.load_data(identifier)
        assert not data.exists(identifier)

    def test_by_a_symbolic_link(self, data, base, name, content, rows):
        outside = base.parent / name
        outside.write_bytes(content)
        with_symlink(base / name, outside)
        with_symlink(base / "sub", base.parent)
        for identifier in (name, f"sub/{name}"):
            for use in (data.load_data, lambda identifier: data.save_data(identifier, rows)):
                with pytest.raises(DataError, match="symbolic link"):
                    use(identifier)
        assert outside.read_bytes() == content
        assert data.list_identifiers() == []

    def test_while_links_within_are_followed(self, data, base, name, content, rows):
        real = base / f"real-{name}"
        real.write_bytes(content)
        with_symlink(base / name, real)
        data.save_data(name, rows)
        assert (base / name).is_symlink()
        assert data.load_data(name) == rows
        assert real.read_bytes() != content

    def test_and_a_loop_of_links_is_an_error_of_ours(self, data, base, name):
        with_symlink(base / name, base / name)
        with pytest.raises(DataError):
            data.load_data(name)
        assert not data.exists(name)


class TestReading:
    def test_a_missing_file_is_named_with_the_nearest(self, data, base, name, content):
        (base / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"The file .* does not exist, did you mean '{name}'\?"):
            data.load_data(name.replace("words", "wrods"))

    def test_a_missing_folder_is_no_list(self, kind, base, name):
        data = LISTS[kind][0]("data", kind, {"base_path": str(base / "missing")})
        assert data.list_identifiers() == []
        assert not data.exists(name)
        with pytest.raises(DataError, match="does not exist"):
            data.load_data(name)

    def test_a_folder_is_no_file(self, data, base, name, rows):
        (base / name).mkdir()
        with pytest.raises(DataError, match="is a folder"):
            data.load_data(name)
        with pytest.raises(DataError, match="cannot be written"):
            data.save_data(name, rows)
        assert not data.exists(name)
        assert [path.name for path in base.iterdir()] == [name]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_is_no_file(self, data, base, name):
        os.mkfifo(base / name)
        with pytest.raises(DataError, match="not a file"):
            data.load_data(name)

    def test_a_name_too_long_is_an_error_of_ours(self, data, name, rows):
        for use in (data.load_data, lambda identifier: data.save_data(identifier, rows)):
            with pytest.raises(DataError):
                use("a" * 5000 + name)
        assert not data.exists("a" * 5000 + name)

    @pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden here")
    def test_a_forbidden_file_is_an_error_of_ours(self, data, base, name, content):
        (base / name).write_bytes(content)
        (base / name).chmod(0)
        with pytest.raises(DataError, match="cannot be read"):
            data.load_data(name)


class TestListing:
    def test_all_files_below_the_folder_but_hidden_ones(self, data, base, name, rows):
        for folder in ("", "b/", "a/c/"):
            data.save_data(folder + name, rows)
        for folder in ("", ".git/", "a/"):
            data.save_data(f"{folder}.{name}", rows)
            (base / folder / "notes.md").touch()
        listed = data.list_identifiers()
        assert [identifier.removesuffix(".json").removesuffix(".csv") for identifier in listed] == [
            *("a/c/words", "b/words", "words")
        ]
        assert all(data.exists(identifier) and data.load_data(identifier) == rows for identifier in listed)


class TestWriting:
    def test_a_new_file_is_like_any_other(self, data, base, name, rows):
        data.save_data(name, rows)
        (base / "other").touch()
        assert (base / name).stat().st_mode == (base / "other").stat().st_mode

    @pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
    def test_an_old_file_keeps_its_mode(self, data, base, name, content, rows):
        (base / name).write_bytes(content)
        (base / name).chmod(0o640)
        data.save_data(name, rows)
        assert stat.S_IMODE((base / name).stat().st_mode) == 0o640

    def test_who_has_it_open_reads_the_old_to_its_end(self, data, base, name, content, rows):
        if sys.platform == "win32":
            pytest.skip("an open file cannot be replaced")
        (base / name).write_bytes(content)
        with (base / name).open("rb") as reader:
            data.save_data(name, rows)
            assert reader.read() == content
        assert data.load_data(name) == rows
        assert [path.name for path in base.iterdir()] == [name]

    def test_a_file_in_the_way_of_a_folder_is_an_error_of_ours(self, data, base, name, rows):
        (base / "sub").touch()
        with pytest.raises(DataError, match="cannot be written"):
            data.save_data(f"sub/{name}", rows)

    def test_the_base_folder_is_made_when_it_is_needed(self, kind, base, name, rows):
        data = LISTS[kind][0]("data", kind, {"base_path": str(base / "new" / "folder")})
        data.save_data(name, rows)
        assert data.list_identifiers() == [name.removesuffix(".json")]


def test_csv_touches_only_files_with_its_endings(base):
    data = csv.register_media_provider("data", "csv", {"base_path": str(base)})
    (base / "script.py").write_text("pass")
    with pytest.raises(DataError, match=r"does not end in \.csv or \.tsv or \.txt"):
        data.save_data("script.py", [{"word": "a"}])
    assert not data.exists("script.py")
    assert (base / "script.py").read_text() == "pass"
