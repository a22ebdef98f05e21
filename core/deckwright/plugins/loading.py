"""Loading plugins: each that was found becomes a record, and each that can be used is registered with pluggy.

The result does not depend on the order in which they are found. What is wrong with one is in its record and in the log;
the others are loaded nevertheless.
"""

from __future__ import annotations

import inspect
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import attrs
import pluggy

from deckwright.diagnostics import Diagnostic
from deckwright.errors import CATCHABLE, PluginError
from deckwright.plugins import discovery
from deckwright.plugins.checks import PluginChecks, new_manager, require_version
from deckwright.plugins.discovery import Candidate, Provenance
from deckwright.plugins.records import PluginRecord, PluginReporter
from deckwright.plugins.settings import PluginSettings
from deckwright.plugins.timeouts import PluginTimeoutError, call_with_timeout
from deckwright.tracebacks import diagnostic_of, format_traceback

logger = logging.getLogger(__name__)

_CORE_TYPES = "deckwright.providers.types"
_REQUIRES = re.compile(r"""^requires_deckwright\s*(?::[^=]*)?=\s*["']([^"'\n]*)["']""", re.MULTILINE)


@attrs.frozen
class Loaded:
    """All plugins that were found."""

    manager: pluggy.PluginManager  # with those that can be used
    records: dict[str, PluginRecord]  # those that can be used and those that are disabled, by name
    rejected: list[PluginRecord]  # those that cannot be used


def load_plugins(
    settings: PluginSettings,
    *,
    objects: Iterable[object] = (),
    folder: Path,
    timeout: float | None,
    reporter: PluginReporter,
) -> Loaded:
    """Find plugins and load them; arguments as in `Plugins`."""
    loader = _Loader(settings, timeout, reporter)
    # The same plugin named twice, in a configuration and the environment, say, is no mistake.
    loader.load(dict.fromkeys(_candidates(settings, objects, folder)))
    return loader.loaded


def _candidates(settings: PluginSettings, objects: Iterable[object], folder: Path) -> Iterator[Candidate]:
    yield discovery.named_module(_CORE_TYPES, kind="built-in")
    yield from discovery.built_in()
    yield from discovery.given(objects)
    yield from map(discovery.named_module, settings.modules)
    yield from chain.from_iterable(discovery.in_path(folder / path) for path in settings.paths)
    yield from (attrs.evolve(found, is_named=False) for found in discovery.in_environment())
    if settings.installed:
        yield from discovery.installed()


class _Loader:
    def __init__(self, settings: PluginSettings, timeout: float | None, reporter: PluginReporter) -> None:
        self._settings = settings
        self._timeout = timeout
        self._reporter = reporter
        self.loaded = Loaded(new_manager(), {}, [])
        self._checks = PluginChecks(self.loaded.manager)
        self._registered: set[int] = set()

    def load(self, candidates: Iterable[Candidate]) -> None:
        built_in: list[Candidate] = []
        others: list[Candidate] = []
        for candidate in candidates:
            (built_in if candidate.provenance.kind == "built-in" else others).append(candidate)
        for candidate in built_in:
            self._load(candidate, candidate.name)
        for name, candidate in sorted(_names(others), key=lambda pair: (pair[0], str(pair[1].provenance))):
            self._load(candidate, name)

    def _status(self, candidate: Candidate, name: str) -> str:
        settings = self._settings
        if name in settings.disable or candidate.name in settings.disable:
            return "disabled"
        # `only` concerns neither built-in plugins nor objects that a program passes in.
        if (
            settings.only is None
            or name in settings.only
            or candidate.provenance.kind in ("built-in", "object")
        ):
            return "loaded"
        return "excluded"

    def _load(self, candidate: Candidate, name: str) -> None:
        record = PluginRecord(name, candidate.provenance, version=candidate.provenance.version)
        record.status = self._status(candidate, name)
        if record.status != "loaded":
            self.loaded.records[name] = record
            return
        started = time.perf_counter()
        try:
            require_version(candidate.requires)
            plugin = call_with_timeout(None if record.is_built_in else self._timeout, candidate.load)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may even exit; Deckwright goes on
            logger.debug("%s", self._reporter.masked(format_traceback(error)))
            self._reject(record, _import_failure(candidate, error))
            return
        record.seconds = time.perf_counter() - started
        if id(plugin) in self._registered:  # by another name: as a module and as an entry point, say
            return
        if name in self.loaded.records:
            message = "has the name of another plugin, which stays"
            self._reject(record, Diagnostic("error", "", message, "Rename one of them."))
            return
        try:
            self._register(record, plugin)
        except CATCHABLE as error:  # attributes of a plugin's object may raise anything
            self._reject(record, diagnostic_of(error, ""))
            return
        for message in self._checks.deprecated(record.hooks):
            self._reporter.note(record, message)

    def _register(self, record: PluginRecord, plugin: object) -> None:
        record.file = _file_of(plugin)
        record.version = record.version or _text(getattr(plugin, "__version__", ""))
        require_version(getattr(plugin, "requires_deckwright", ""))
        record.hooks = self._checks.hooks_of(plugin)
        self.loaded.manager.register(plugin, record.name)
        self._registered.add(id(plugin))
        self.loaded.records[record.name] = record

    def _reject(self, record: PluginRecord, diagnostic: Diagnostic) -> None:
        record.status = "failed"
        with suppress(OSError, ValueError, ImportError):
            record.file = record.file or str(discovery.source_of(record.provenance) or "")
        self.loaded.rejected.append(record)
        self._reporter.add(record, diagnostic)


def _names(candidates: list[Candidate]) -> Iterator[tuple[str, Candidate]]:
    """Yield each plugin with the name that it has here.

    What is named keeps its name even if a plugin with the same name is found: to install a package changes nothing.
    """
    named = Counter(candidate.name for candidate in candidates if candidate.is_named)
    shared = Counter(candidate.name for candidate in candidates)
    for candidate in candidates:
        is_alone = shared[candidate.name] == 1 or (candidate.is_named and named[candidate.name] == 1)
        yield candidate.name if is_alone else _full_name(candidate), candidate


def _full_name(candidate: Candidate) -> str:
    """Return the name of a plugin that shares the short one: with where it is from."""
    provenance = candidate.provenance
    return f"{candidate.name}@{provenance.distribution or provenance.location or provenance.kind}"


def _import_failure(candidate: Candidate, error: BaseException) -> Diagnostic:
    """Return why a plugin could not be imported; one for another version of Deckwright may look broken here."""
    try:
        require_version(_declared_versions(candidate.provenance))
    except PluginError as reason:
        return diagnostic_of(reason, "")
    if isinstance(error, PluginError) and not isinstance(error, PluginTimeoutError):
        return diagnostic_of(error, "")
    diagnostic = diagnostic_of(error, "", doing="cannot be imported")
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return diagnostic
    distribution = candidate.provenance.distribution
    location = candidate.provenance.location.partition(":")[0]
    if candidate.provenance.kind == "module" and f"{location}.".startswith(f"{error.name}."):
        hint = f"Correct the name of the module, or install the package that has {location!r}."
    elif distribution and error.name == location:
        hint = f"Reinstall {distribution}: its own module is missing."
    else:
        hint = f"Install the package that has {error.name!r}."
    return attrs.evolve(diagnostic, hint=hint)


def _declared_versions(provenance: Provenance) -> str:
    try:
        source = discovery.source_of(provenance)
        found = _REQUIRES.search(source.read_text(encoding="utf-8")) if source else None
    except (OSError, ValueError, ImportError):
        return ""
    return found[1] if found else ""


def _file_of(plugin: object) -> str:
    module = (
        plugin if inspect.ismodule(plugin) else sys.modules.get(getattr(plugin, "__module__", None) or "")
    )
    return _text(getattr(module, "__file__", ""))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
