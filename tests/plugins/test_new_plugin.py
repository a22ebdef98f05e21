"""A package that `deckwright new-plugin` has written passes its own tox, as it was written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = {"audio": "acme_bells", "image": "acme_letters", "sync": "acme_tables", "data": "acme_lists"}
# Names of what is in the examples and their tests.
COMMON_WORDS = {"audio": "tone", "image": "letter", "sync": "table", "data": "lines"}


def new_package(type: str, name: str, folder: Path) -> Path:
    """Write a package of this name with a plugin of this type, and return its folder."""
    command = ["-m", "deckwright", "new-plugin", name, "--type", type, "--output", folder]
    subprocess.run([sys.executable, *command], check=True)
    return folder / name


def pythons() -> list[str]:
    """Return tox's names of those Pythons of the package's tox.ini that can be called here."""
    found = []
    for minor in range(10, 15):
        program = shutil.which(f"python3.{minor}")
        # A launcher may be there for a Python that is not.
        if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            found.append(f"py3{minor}")
    return found


@pytest.mark.parametrize("type", MODULES)
def test_a_new_package_passes_its_own_tox(type: str, our_wheel: Path, tmp_path: Path) -> None:
    # The variables that tox sets for these tests are not meant for the tox that they run.
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TOX_", "VIRTUAL_ENV", "PYTHON"))
    }
    environment |= dict.fromkeys(("PIP_FIND_LINKS", "UV_FIND_LINKS"), str(our_wheel.parent))
    environment |= {"UV_PYTHON_PREFERENCE": "only-system", "UV_PYTHON_DOWNLOADS": "never"}
    used = pythons()
    if type != "audio" and len(used) > 2:  # one in full is enough
        environment["TOX_SKIP_ENV"] = "|".join(used[1:-1])
        used = [used[0], used[-1]]

    done = subprocess.run(
        [sys.executable, "-m", "tox", "run", "--result-json", tmp_path / "result.json"],
        cwd=new_package(type, MODULES[type].replace("_", "-"), tmp_path),
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["testenvs"]
    ran = {name: result for name, result in results.items() if result.get("test")}
    ran.pop(".pkg", None)
    print(*ran)
    assert set(ran) == {f"{python}-{factor}" for python in used for factor in ("lowest", "newest")}
    version = our_wheel.name.split("-")[1]
    assert all(f"deckwright=={version}" in result["installed_packages"] for result in ran.values())


def test_new_packages_pass_their_tests_together(tmp_path: Path) -> None:
    packages = [
        new_package(type, name.replace("_", "-"), tmp_path)
        for names in (MODULES, COMMON_WORDS)
        for type, name in names.items()
    ]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *packages],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, packages), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_new_packages_are_clean(tmp_path: Path) -> None:
    mypy = ["mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache"), "."]
    for type, name in COMMON_WORDS.items():
        package = new_package(type, name, tmp_path)
        for checker in (["ruff", "check", "--isolated"], mypy):
            command = [sys.executable, "-m", *checker]
            done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
