"""A stranger's plugin: one file with a provider of its own, found by a path, a module's name or the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

# No more than the documentation asks of an author.
BELL = """
from deckwright import MediaProvider, MediaResult, hookimpl

class Bell(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.output_path.write_text("ID3 ding " + request.content)
        return MediaResult(success=True, file_path=request.output_path)

@hookimpl
def register_media_provider(type, name, config):
    if (type, name) == ("audio", "bell"):
        return Bell(config)
"""
PROVIDERS = """
[providers.data.csv]
pipelines = ["*"]
[providers.audio.chime]
type = "bell"
pipelines = ["*"]
[providers.sync.apkg]
pipelines = ["*"]
"""
SOUNDS = {b"ID3 ding hola", b"ID3 ding sol"}
# What may be wrong with a plugin, and what is said of it.
BROKEN = {
    "does not parse": ("def (", "SyntaxError"),
    "cannot import what it needs": ("import a_package_that_nobody_has", "a_package_that_nobody_has"),
    "raises": ("raise RuntimeError('no licence')", "no licence"),
    "exits": ("raise SystemExit(7)", "SystemExit"),
    "is no plugin": ("x = 1", "implements no hook"),
    "misspells a hook": (
        BELL.replace("def register_media_provider", "def register_media_providers"),
        "did you mean",
    ),
    "is async": (BELL.replace("def register_", "async def register_"), "async"),
}


@attrs.frozen
class Folder:
    """A working directory with a word list, and what a stranger's plugin needs."""

    path: Path
    build: Callable[[], Any]

    def write(self, name: str, text: str) -> None:
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def sounds(self) -> set[bytes]:
        """Return the content of the sounds in the deck."""
        with zipfile.ZipFile(self.path / "spanish.apkg") as deck:
            return {deck.read(name) for name in deck.namelist() if name.isdigit()}


@pytest.fixture
def folder(
    clean_folder: Path, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Folder]:
    folder = Folder(clean_folder, lambda: run_command("build", "spanish.txt"))
    folder.write("spanish.txt", "hola\nsol\n")
    monkeypatch.syspath_prepend(clean_folder / "on the path")
    yield folder
    sys.modules.pop("bell", None)


def works(folder: Folder, done: Any) -> bool:
    assert (done.code, done.err) == (0, ""), done
    return folder.sounds() == SOUNDS


def test_a_new_process_finds_it(folder: Folder) -> None:
    folder.write("extra/bell.py", BELL)
    folder.write("deckwright.toml", f'[plugins]\npaths = ["extra/bell.py"]\n{PROVIDERS}')
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path).strip(os.pathsep)}
    command = [sys.executable, "-m", "deckwright", "build", "spanish.txt"]
    subprocess.run(command, env=environment, check=True)
    assert folder.sounds() == SOUNDS


@pytest.mark.parametrize("path", ["extra/bell.py", "extra"])
def test_by_a_path_in_the_configuration(folder: Folder, path: str) -> None:
    folder.write("extra/bell.py", BELL)
    folder.write("deckwright.toml", f'[plugins]\npaths = ["{path}"]\n{PROVIDERS}')
    assert works(folder, folder.build())


def test_by_the_environment_as_a_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("extra/bell.py", BELL)
    folder.write("deckwright.toml", PROVIDERS)
    monkeypatch.setenv("DECKWRIGHT_PLUGINS", str(folder.path / "extra" / "bell.py"))
    assert works(folder, folder.build())


def test_by_the_environment_as_a_module(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("on the path/bell.py", BELL)
    folder.write("deckwright.toml", PROVIDERS)
    monkeypatch.setenv("DECKWRIGHT_PLUGINS", "bell")
    assert works(folder, folder.build())


def test_by_a_modules_name_in_the_configuration(folder: Folder) -> None:
    folder.write("on the path/bell.py", BELL)
    folder.write("deckwright.toml", f'[plugins]\nmodules = ["bell"]\n{PROVIDERS}')
    assert works(folder, folder.build())


def test_without_it_the_provider_is_unknown_and_the_deck_is_made_nevertheless(folder: Folder) -> None:
    folder.write("deckwright.toml", PROVIDERS)
    done = folder.build()
    assert done.code == 3
    assert "deckwright.toml, line 4, providers.audio.chime: Unknown audio provider: bell" in done.err
    assert folder.sounds() == set()


def test_a_broken_plugin_beside_it_is_named_and_changes_nothing(folder: Folder) -> None:
    folder.write("extra/bell.py", BELL)
    for number, (source, _) in enumerate(BROKEN.values()):
        folder.write(f"extra/broken{number}.py", source)
    folder.write("deckwright.toml", f'[plugins]\npaths = ["extra"]\n{PROVIDERS}')
    done = folder.build()
    assert done.code == 3
    assert folder.sounds() == SOUNDS
    assert "Traceback" not in done.err
    warnings = done.err.split("Warning: ")[1:]
    assert len(warnings) == len(BROKEN)
    for number, (warning, (_, reason)) in enumerate(zip(warnings, BROKEN.values(), strict=True)):
        assert f"broken{number}.py" in warning
        assert reason in warning


def test_a_plugin_of_a_built_in_provider_needs_to_be_preferred(folder: Folder) -> None:
    folder.write("bell.py", BELL.replace('"bell"', '"pico"') + DESCRIBES_PICO)
    providers = PROVIDERS.replace('"bell"', '"pico"')
    folder.write("deckwright.toml", f'[plugins]\npaths = ["bell.py"]\n{providers}')
    done = folder.build()
    assert done.code == 0
    assert 'prefer = ["bell"]' in done.err
    assert b"ID3 ding hola" not in folder.sounds()

    folder.write("deckwright.toml", f'[plugins]\npaths = ["bell.py"]\nprefer = ["bell"]\n{providers}')
    assert works(folder, folder.build())


DESCRIBES_PICO = """
from deckwright import ProviderInfo

@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "pico", "A bell that is called pico")]
"""


CREDITED_ARTIST = """
from deckwright import MediaProvider, MediaResult, ProviderInfo, Traits, hookimpl

class Artist(MediaProvider):
    supported_types = ("image",)

    def _generate_media_impl(self, request):
        path = request.target.with_suffix(".svg")
        path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        return MediaResult(True, path)

@hookimpl
def describe_media_providers():
    return [ProviderInfo("image", "artist", traits=Traits(attribution="Drawn by A. Artist"))]

@hookimpl
def register_media_provider(type, name, config):
    return Artist(config) if name == "artist" else None
"""
CLOSED_DOOR = """
from deckwright import SyncProvider, SyncResult, hookimpl

class Door(SyncProvider):
    def _test_connection_impl(self):
        return False

    def _sync_cards_impl(self, cards):
        return None

    def sync_deck(self, deck):
        token = self.config.get("token")
        return SyncResult(False, 0, error_message=f"refused {token}") if token else None

@hookimpl
def register_media_provider(type, name, config):
    return Door(config) if name == "door" else None
"""


def test_the_credit_that_a_plugin_describes_is_on_every_card(folder: Folder) -> None:
    folder.write("plugin.py", CREDITED_ARTIST)
    providers = PROVIDERS.replace("bell", "pico") + '[providers.image.artist]\npipelines = ["*"]\n'
    folder.write("deckwright.toml", f'[plugins]\npaths = ["plugin.py"]\n{providers}')
    done = folder.build()
    assert done.code == 0, done.err
    with zipfile.ZipFile(folder.path / "spanish.apkg") as package:
        assert b"Drawn by A. Artist" in package.read("collection.anki2")


@pytest.mark.parametrize(
    ("setting", "told"), [("", "it returned NoneType"), ('token = "s3cr3t-key"', "refused ***")]
)
def test_a_target_that_fails_is_told_and_the_others_get_the_deck(
    folder: Folder, setting: str, told: str
) -> None:
    folder.write("plugin.py", CLOSED_DOOR)
    providers = PROVIDERS.replace("bell", "pico") + f'[providers.sync.door]\npipelines = ["*"]\n{setting}\n'
    folder.write("deckwright.toml", f'[plugins]\npaths = ["plugin.py"]\n{providers}')
    done = folder.build()
    assert (done.code, told in done.err, "s3cr3t" in done.err) == (3, True, False), done.err
    assert (folder.path / "spanish.apkg").exists()
