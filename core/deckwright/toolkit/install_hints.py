"""What to install if a package is missing: the extras of this package, by the names that pip knows."""

from __future__ import annotations

from deckwright.errors import MissingDependencyError

OFFLINE_EXTRA = "deckwright[offline]"
ONLINE_EXTRA = "deckwright[online]"
DASK_EXTRA = "deckwright[dask]"


def missing_dependency(problem: str, error: BaseException, extra: str) -> MissingDependencyError:
    """Return the error for a package that cannot be imported or used, with the command that installs it.

    Args:
        problem: What is missing, as a sentence without its full stop.
        error: Why it cannot be imported or used.
        extra: What to install, such as `ONLINE_EXTRA`.
    """
    return MissingDependencyError(f"{problem} ({error}).", hint=f'pip install "{extra}"')


def missing_packages(extra: str) -> list[str]:
    """Return the packages of an extra that this environment lacks, as pip would be given them: `["httpx>=0.28"]`.

    Args:
        extra: A package with extras, `"acme-bells[fine]>=2"`, or a package alone. If the package itself is not
            installed, or in another version, it is what is missing.
    """
    # Slow to import, and rarely needed.
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import InvalidRequirement, Requirement

    def is_installed(package: Requirement) -> bool:
        try:
            return package.specifier.contains(version(package.name), prereleases=True)
        except PackageNotFoundError:
            return False

    try:
        wanted = Requirement(extra)
        lines = requires(wanted.name) or []
    except InvalidRequirement:
        return []
    except PackageNotFoundError:
        return [extra]
    if not is_installed(wanted):
        return [extra]
    of_extras = [
        requirement
        for requirement in map(Requirement, lines)
        if requirement.marker
        and not requirement.marker.evaluate({"extra": ""})
        and any(requirement.marker.evaluate({"extra": name}) for name in wanted.extras)
    ]
    return [f"{package.name}{package.specifier}" for package in of_extras if not is_installed(package)]
