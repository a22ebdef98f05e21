"""New plugins: a working example of each type, as a package or as a single file.

The files are in the folder `templates`, in the syntax of `string.Template`. Each type has three: the plugin, its
tests, and a part of the README. The other files of a package are the same for all types.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

import attrs

from deckwright._version import __version__
from deckwright.errors import DeckwrightError

# What the example of each type does.
SUMMARIES = {
    "audio": "A tone for each word",
    "image": "The first letter of each word, as a picture",
    "sync": "The deck as a table, to read in other programs",
    "data": "Word lists with a word and its translation on each line",
}

# The name is part of file names, whose length is limited.
MAX_LENGTH = 100


@attrs.frozen
class PluginNames:
    """The names of a new plugin.

    Attributes:
        distribution: The name to install: `"acme-bells"`.
        module: The name to import: `"acme_bells"`.
        provider: The name of its provider in a configuration: the module's, without a leading `deckwright_`.
    """

    distribution: str
    module: str
    provider: str


def plugin_names(name: str) -> PluginNames:
    """Derive all names of a new plugin from one.

    Args:
        name: The name of its distribution; the spelling (`Acme.Bells`, `acme_bells`) does not matter.

    Raises:
        DeckwrightError: A plugin cannot have this name.
    """
    if len(name) > MAX_LENGTH:
        raise DeckwrightError(
            f"{name[:20]}... cannot be the name of a plugin: it is {len(name)} characters long.",
            hint=f"Use at most {MAX_LENGTH} characters, such as my-bells.",
        )
    distribution = re.sub(r"[-_.]+", "-", name).lower()  # as package indexes compare names
    module = distribution.replace("-", "_")
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", distribution):
        raise DeckwrightError(
            f"{name!r} cannot be the name of a plugin.",
            hint="Use the letters a to z, digits and hyphens. Start with a letter, and do not end with a hyphen: "
            "acme-bells.",
        )
    if keyword.iskeyword(module):
        raise _invalid(name, f"{module} is a keyword of Python")
    if module.startswith(("test_", "conftest")) or module in ("test", "tests"):
        raise _invalid(name, f"{module} looks like a test module, and the search for plugins ignores those")
    if module in sys.stdlib_module_names:
        raise _invalid(name, f"{module} is a module of Python itself")
    found = importlib.util.find_spec(module)
    if found and found.origin:
        raise _invalid(name, f"there is already a module {module} at {found.origin}")
    return PluginNames(distribution, module, module.removeprefix("deckwright_"))


def package_files(names: PluginNames, type: str) -> dict[str, str]:
    """Return the text of each file of a package, by its path within the package's folder.

    Args:
        names: The names of the plugin.
        type: What its provider delivers, one of `SUMMARIES`.
    """
    files = {
        "README.md": "package/README.md",
        f"{names.module}.py": f"{type}/plugin.py",
        "pyproject.toml": "package/pyproject.toml",
        f"tests/test_{names.module}.py": f"{type}/test.py",
        "tox.ini": "package/tox.ini",
        ".gitignore": "package/gitignore",
    }
    return {path: _filled(template, names, type) for path, template in files.items()}


def single_file(names: PluginNames, type: str) -> dict[str, str]:
    """Return the same for a plugin in a single file, which explains at the top how to use it."""
    plugin = _filled("single_file_head.py", names, type) + _filled(f"{type}/plugin.py", names, type)
    return {f"{names.module}.py": plugin}


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write new files below `folder`, which is made if necessary.

    Raises:
        DeckwrightError: A file cannot be written, or exists already.
    """
    for path, text in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise DeckwrightError(f"{target} cannot be written: {error.strerror or error}.") from error


def _invalid(name: str, reason: str) -> DeckwrightError:
    return DeckwrightError(
        f"{name!r} cannot be the name of a plugin: {reason}.", hint="Choose another name, such as my-bells."
    )


def _filled(template: str, names: PluginNames, type: str) -> str:
    from importlib.resources import files

    values = {**attrs.asdict(names), "type": type, "summary": SUMMARIES[type], "version": __version__}
    folder = files("deckwright.scaffold") / "templates"

    def text(name: str) -> str:
        return Template((folder / f"{name}.template").read_text(encoding="utf-8")).substitute(values)

    if template == "package/README.md":
        values["about"] = text(f"{type}/about.md")
    return text(template)
