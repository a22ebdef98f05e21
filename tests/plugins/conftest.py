from __future__ import annotations

from pathlib import Path

import pytest
from environments import PLUGINS, ROOT, Environment, build_wheels, new_environment


@pytest.fixture(scope="session")
def our_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, in a folder of its own, where installers can find it."""
    [wheel] = build_wheels([ROOT], tmp_path_factory.mktemp("wheels"))
    return wheel


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, our_wheel: Path) -> Environment:
    """An environment with the real distributions."""
    return new_environment(tmp_path_factory.mktemp("installed"), our_wheel)


@pytest.fixture(scope="session")
def with_broken_plugins(tmp_path_factory: pytest.TempPathFactory, our_wheel: Path) -> Environment:
    """The same with the broken distributions. Dependencies are not checked: no installer would accept some of them."""
    environment = new_environment(tmp_path_factory.mktemp("with-broken-plugins"), our_wheel)
    projects = [path.parent for path in (PLUGINS / "broken" / "distributions").glob("*/pyproject.toml")]
    environment.install(*build_wheels(projects, environment.folder / "wheels"), with_dependencies=False)
    (environment.packages / "broken_metadata-1.0.dist-info" / "METADATA").unlink()
    return environment
