"""What to install when a package is missing: the extras of this package, by the names that pip knows them by."""

from __future__ import annotations

OFFLINE_EXTRA = "deckwright[offline]"
ONLINE_EXTRA = "deckwright[online]"
DASK_EXTRA = "deckwright[dask]"


def missing_packages(extra: str) -> list[str]:
    """Return what an extra brings and this environment lacks, as pip would be told: `["httpx>=0.28"]`.

    Args:
        extra: A package with extras, `"acme-bells[fine]>=2"`, or a package alone. Where it is not there itself, or in
            another version, it is what is missing.
    """
    # Dear to import, and needed only by those who ask.
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import InvalidRequirement, Requirement

    def is_there(package: Requirement) -> bool:
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
    if not is_there(wanted):
        return [extra]
    brought = [
        requirement
        for requirement in map(Requirement, lines)
        if requirement.marker
        and not requirement.marker.evaluate({"extra": ""})
        and any(requirement.marker.evaluate({"extra": name}) for name in wanted.extras)
    ]
    return [f"{package.name}{package.specifier}" for package in brought if not is_there(package)]
