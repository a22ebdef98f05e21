"""Which versions of Deckwright a plugin is for, and hooks that will go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_samples import BELL, Sounds, Write, found, load

import deckwright
from deckwright import hookimpl, hooks

pytestmark = pytest.mark.usefixtures("clean_folder")

VERSION = deckwright.__version__
TOO_NEW = ">=1000,<1001"
TOO_OLD = "<0.0.1"


class TestRequiredVersions:
    @pytest.mark.parametrize(
        "versions", ["", f">={VERSION}", f"=={VERSION}", "<1000", ">=0.0.1,<1000,!=0.0.2"]
    )
    def test_one_that_is_for_this_version_is_loaded(self, write: Write, versions: str) -> None:
        write("bells.py", f"requires_deckwright = {versions!r}\n{BELL}")
        assert found(load(paths=[Path("bells.py")]), "bells").problems == []

    @pytest.mark.parametrize(
        ("versions", "mend"),
        [
            (TOO_NEW, "Update Deckwright."),
            (TOO_OLD, "Update the plugin."),
            ("==1000.*", "Update Deckwright."),
            ("!=0.*", "Update the plugin."),
        ],
    )
    def test_one_that_is_for_others_is_refused(self, write: Write, versions: str, mend: str) -> None:
        path = write("bells.py", f"requires_deckwright = {versions!r}\n{BELL}")
        record = found(load(paths=[Path("bells.py")]), "bells")
        assert (record.status, record.file) == ("failed", str(path))
        [problem] = record.problems
        assert problem.message == f"is for Deckwright {versions}, and this is {VERSION}"
        assert problem.hint == mend

    @pytest.mark.parametrize(
        "source", ["from deckwright import SomethingNew", "1 / 0", "raise SystemExit", "def (:"]
    )
    def test_so_it_is_when_it_cannot_even_be_imported_here(
        self, write: Write, importable: Path, source: str
    ) -> None:
        text = f'requires_deckwright: str = "{TOO_NEW}"\n{source}\n'
        write("bells.py", text)
        write("pack/__init__.py", text)
        write("importable/acme/__init__.py", "")
        write("importable/acme/gongs.py", text)
        plugins = load(paths=[Path("bells.py"), Path("pack")], modules=["acme.gongs"])
        for name in ("bells", "pack", "acme.gongs"):
            [problem] = found(plugins, name).problems
            assert problem.message == f"is for Deckwright {TOO_NEW}, and this is {VERSION}"

    def test_what_a_package_depends_on_says_so_too_and_nothing_of_it_is_imported(
        self, install: Callable[..., Path]
    ) -> None:
        info = install(
            "acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells="open('imported', 'w').close()"
        )
        with (info / "METADATA").open("a") as metadata:
            metadata.write(f"Requires-Dist: Deckwright[offline] {TOO_NEW}; python_version > '3'\n")
        [problem] = found(load(), "acme").problems
        assert problem.message == f"is for Deckwright <1001,>=1000, and this is {VERSION}"
        assert not Path("imported").exists()

    @pytest.mark.parametrize(
        "line",
        [
            "deckwright",
            "deckwright-extras>=1000",
            "deckwright>=1000; extra == 'x'",
            "other",
            f"deckwright<={VERSION}",
        ],
    )
    def test_other_dependencies_say_nothing(self, install: Callable[..., Path], line: str) -> None:
        info = install("acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        with (info / "METADATA").open("a") as metadata:
            metadata.write(f"Requires-Dist: {line}\n")
        assert found(load(), "acme").status == "loaded"

    def test_what_cannot_be_read_is_told(self, write: Write) -> None:
        write("bells.py", f"requires_deckwright = 'the newest'\n{BELL}")
        [problem] = found(load(paths=[Path("bells.py")]), "bells").problems
        assert "requires_deckwright is 'the newest', which is not a version specifier" in problem.message

    def test_so_it_is_with_objects(self) -> None:
        plugin = Sounds("bells")
        plugin.requires_deckwright = TOO_OLD
        assert found(load(plugin), "bells").status == "failed"


class TestDeprecatedHooks:
    @pytest.fixture
    def old_hook(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hook `media_made` of an earlier version, deprecated in this one."""

        @hooks.hookspec(warn_on_impl=DeprecationWarning("use media_generated instead, from 1.0 on"))
        def media_made(request: object) -> None:
            """Observe."""

        monkeypatch.setattr(hooks, "media_made", media_made, raising=False)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    @pytest.mark.usefixtures("old_hook")
    def test_a_plugin_with_one_works_and_is_named_with_what_takes_its_place(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Old(Sounds):
            @hookimpl
            def media_made(self, request):
                pass

        plugins = load(Old("old"), Sounds("new", name="horn"))
        record = found(plugins, "old")
        assert (record.status, record.problems) == ("loaded", [])
        told = "plugin old (object): implements media_made, which is deprecated: use media_generated instead"
        assert told in str(plugins.notes()[0])
        assert told in caplog.text
        assert found(plugins, "new").notes == []
        assert plugins.make("audio", "bell", {})

    @pytest.mark.usefixtures("old_hook")
    def test_its_author_is_warned_where_it_is_tested(self, write: Write) -> None:
        write("old.py", f"{BELL}\n@hookimpl\ndef media_made(request): pass\n")
        with pytest.warns(DeprecationWarning, match="use media_generated instead") as warned:
            load(paths=[Path("old.py")])
        assert warned[0].filename.endswith("old.py")
