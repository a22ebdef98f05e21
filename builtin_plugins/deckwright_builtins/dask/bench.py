"""The side of a worker: providers made there from the configuration, and the requests that they carry out.

What goes over the wire is here too. Whatever may hold things of a plugin's own is pickled by itself, so that what
cannot be read on the other side takes nothing else with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import pickle
import tempfile
import threading
import weakref
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from deckwright import (
    BadMediaError,
    Config,
    DeckwrightError,
    MediaRequest,
    MediaResult,
    ProviderError,
    ProviderRegistry,
    __version__,
)
from deckwright.errors import CATCHABLE
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import as_provider_error, format_error

# As many as anybody allows; the engine sends no more at once than the providers take.
_THREADS = 500


@attrs.frozen
class Setup:
    """What a worker needs to make its providers.

    Attributes:
        written: The configuration as it was written: a variable of the environment is still its name.
        path: The file that it is from.
        time_limit: As for a `ProviderRegistry`.
    """

    written: dict[str, Any] = attrs.field(repr=False)  # which may hold a key
    path: str | None
    time_limit: float | None


@attrs.frozen
class Report:
    """What became of the providers of a worker.

    Attributes:
        worker: What its cluster calls the worker.
        version: That of Deckwright.
        instances: The type and instance of all that were made.
        failures: By type and instance, why others were not.
        problems: What is wrong with plugins, or with all of it.
    """

    worker: str
    version: str
    instances: frozenset[tuple[str, str]]
    failures: dict[tuple[str, str], str]
    problems: tuple[str, ...]


@attrs.frozen
class SentError:
    """An error on its way.

    Attributes:
        whole: It, pickled; empty where that is impossible.
        plain: The nearest to it among Deckwright's own, for where its class is not known.
    """

    whole: bytes
    plain: bytes

    @classmethod
    def of(cls, error: BaseException, secrets: Iterable[str]) -> SentError:
        """Return an error as it is sent, without secrets; one of no class of Deckwright's stands for a fault."""
        if not isinstance(error, DeckwrightError):
            error = as_provider_error(error)  # which keeps where it arose, unlike a pickle
        error.redact(secrets)
        kind = next(each for each in type(error).__mro__ if each.__module__ == DeckwrightError.__module__)
        plain = kind(error.message)
        plain.__dict__.update({key: value for key, value in vars(error).items() if _pickled(value)})
        return cls(_pickled(error), _pickled(plain))

    def error(self) -> DeckwrightError:
        """Return the error."""
        try:
            error = pickle.loads(self.whole)  # noqa: S301 - a worker runs our code anyway
        except Exception:  # noqa: BLE001 - a class that is known only there, or cannot be made again
            error = pickle.loads(self.plain)  # noqa: S301
        return error if isinstance(error, DeckwrightError) else ProviderError(format_error(error))


@attrs.frozen
class Outcome:
    """What came of a request, on its way back.

    Attributes:
        success, error: As in a `MediaResult`.
        ending: The ending of the file.
        content: The file; None when there is none.
        metadata: What of the metadata can be sent, each value pickled.
        failure: That of the result.
        raised: What was raised in place of a result.
    """

    success: bool = False
    error: str | None = None
    ending: str = ""
    content: bytes | None = None
    metadata: Mapping[Any, bytes] = attrs.field(factory=dict)
    failure: SentError | None = None
    raised: SentError | None = None


class Bench:
    """The providers of one engine, on one worker. Dask keeps it until the build ends, however it ends."""

    def __init__(self, id: str, setup: Setup) -> None:
        # What is wrong with the configuration was told at the build's side; here it has no reader but a log.
        logging.getLogger("deckwright").addHandler(logging.NullHandler())
        config = Config(setup.written, path=Path(setup.path) if setup.path else None)
        self.problem = ""
        # What plugins print while they are set up was shown there too, with secrets masked.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                self.registry = ProviderRegistry.from_config(
                    config, strict=False, time_limit=setup.time_limit
                )
            except DeckwrightError as error:
                self.problem = str(error)
                self.registry = ProviderRegistry()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="deckwright")
        self.close = weakref.finalize(self, _close, self.registry, self.pool)
        _benches[id] = self

    def report(self, worker: str) -> Report:
        """Say what became of the providers."""
        registry = self.registry
        return Report(
            worker,
            __version__,
            frozenset((type, instance) for type in registry.plugins.types for instance in registry[type]),
            {(failure.type, failure.instance): str(failure) for failure in registry.failures},
            (self.problem,) if self.problem else tuple(map(str, registry.plugins.problems())),
        )

    def carry_out(self, type: str, instance: str, request: MediaRequest, file_name: str) -> Outcome:
        """Have a provider do what is asked; whatever happens is in the outcome."""
        secrets = tuple(secret_values(getattr(self.registry.get(type, instance), "config", {})))
        with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
            request = attrs.evolve(request, output_path=Path(folder, file_name))
            try:
                return _outcome(self.registry.generate(type, instance, request), secrets)
            except CATCHABLE as error:
                return Outcome(raised=SentError.of(error, secrets))


# By id. They are Dask's to keep, and gone when it drops them.
_benches: weakref.WeakValueDictionary[str, Bench] = weakref.WeakValueDictionary()


async def report(id: str, dask_worker: Any) -> Report:
    """Say what became of the providers of a bench of this worker."""
    return _benches[id].report(str(dask_worker.name))


async def carry_out(id: str, type: str, instance: str, request: bytes, file_name: str) -> Outcome:
    """Have a request carried out at a bench of this worker.

    Raises:
        KeyError: There is no such bench, or none any more.
    """
    bench = _benches[id]
    # In a thread of the bench, so that how many are at work at once does not depend on the worker's own threads.
    return await asyncio.get_running_loop().run_in_executor(
        bench.pool,
        bench.carry_out,
        type,
        instance,
        pickle.loads(request),  # noqa: S301 - whoever sends it may have any code run here
        file_name,
    )


async def close(id: str) -> None:
    """Close the providers of a bench of this worker."""
    if bench := _benches.pop(id, None):
        await asyncio.to_thread(bench.close)


def _close(registry: ProviderRegistry, pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    # Where nobody asked for it and the bench was dropped, this is the thread that all of the worker depends on.
    closing = threading.Thread(target=registry.close, name="deckwright-close", daemon=True)
    closing.start()
    if threading.current_thread() is not threading.main_thread():
        closing.join()


def _outcome(result: Any, secrets: tuple[str, ...]) -> Outcome:
    if not isinstance(result, MediaResult):
        raise BadMediaError(f"it returned {result.__class__.__name__}, not a MediaResult")
    path = result.file_path
    content = path.read_bytes() if result.success and path is not None and path.is_file() else None
    metadata = result.metadata if isinstance(result.metadata, Mapping) else {}
    return Outcome(
        success=bool(result.success),
        error=None if result.error is None else redact(str(result.error), secrets),
        ending=path.suffix if path is not None else "",
        content=content,
        metadata={key: sent for key, value in metadata.items() if (sent := _pickled(value))},
        failure=SentError.of(result.failure, secrets) if isinstance(result.failure, ProviderError) else None,
    )


def _pickled(value: Any) -> bytes:
    """Return a value as it is sent; nothing where it cannot be."""
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001 - whatever a stranger's object may raise
        return b""
