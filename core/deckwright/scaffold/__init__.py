"""New plugins: a working example of each type, as a package of its own or as one file.

The files are in the folder `templates`, in the notation of `string.Template`. Each type has three of its own: the
plugin, its tests, and what the README says of it. The rest of a package is the same for all.
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
    "sync": "The deck as a table, to read and study elsewhere",
    "data": "Word lists with a word and its translation on each line",
}

# Of a name. It is part of file names, which have limits of their own.
LONGEST = 100


@attrs.frozen
class PluginNames:
    """What a new plugin is called.

    Attributes:
        distribution: The name to install it by: `"acme-bells"`.
        module: The name to import it by: `"acme_bells"`.
        provider: The name that a configuration calls its provider by: the module's, without a leading `deckwright_`.
    """

    distribution: str
    module: str
    provider: str


def plugin_names(name: str) -> PluginNames:
    """Make all names of a new plugin from one.

    Args:
        name: The name of its distribution; how it is written (`Acme.Bells`, `acme_bells`) is all the same.

    Raises:
        DeckwrightError: No plugin can have this name.
    """
    if len(name) > LONGEST:
        raise DeckwrightError(
            f"{name[:20]}... cannot be the name of a plugin: it has {len(name)} letters.",
            hint=f"Take one of no more than {LONGEST}, such as my-bells.",
        )
    distribution = re.sub(r"[-_.]+", "-", name).lower()  # as package indexes compare names
    module = distribution.replace("-", "_")
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", distribution):
        raise DeckwrightError(
            f"{name!r} cannot be the name of a plugin.",
            hint="A name is made of the letters a to z, digits and hyphens, begins with a letter, and does not "
            "end with a hyphen: acme-bells.",
        )
    if keyword.iskeyword(module):
        raise _unfit(name, f"{module} is a word of the Python language")
    if module.startswith(("test_", "conftest")) or module in ("test", "tests"):
        raise _unfit(name, f"{module} looks like tests, which a search for plugins passes by")
    if module in sys.stdlib_module_names:
        raise _unfit(name, f"Python has a module {module} itself")
    found = importlib.util.find_spec(module)
    if found and found.origin:
        raise _unfit(name, f"there is another module {module}, at {found.origin}")
    return PluginNames(distribution, module, module.removeprefix("deckwright_"))


def package_files(names: PluginNames, type: str) -> dict[str, str]:
    """Return the text of each file of a package, by its path within the package's folder.

    Args:
        names: What the plugin is called.
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
    """Return the same for a plugin of one file, which says at its top how it is used."""
    plugin = _filled("single_file_head.py", names, type) + _filled(f"{type}/plugin.py", names, type)
    return {f"{names.module}.py": plugin}


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write new files below `folder`, which is made if need be.

    Raises:
        DeckwrightError: One of them cannot be written, or is there already.
    """
    for path, text in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise DeckwrightError(f"{target} cannot be written: {error.strerror or error}.") from error


def _unfit(name: str, reason: str) -> DeckwrightError:
    return DeckwrightError(
        f"{name!r} cannot be the name of a plugin: {reason}.", hint="Take another one, such as my-bells."
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
