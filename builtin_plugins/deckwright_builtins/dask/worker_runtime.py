"""Runs on a worker: makes providers from the configuration there, and runs requests with them.

It also defines what is sent. Objects of plugins are pickled one by one, so that one which the other side cannot read
does not affect the others.
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

from deckwright import Config, MediaRequest, MediaResult, ProviderRegistry, __version__, errors
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import as_provider_error, format_error

# More than anybody needs; the engine sends no more requests at once than the providers allow.
_THREADS = 500


@attrs.frozen
class Setup:
    """What a worker needs to make its providers: the configuration as written, with the names of variables."""

    written: dict[str, Any] = attrs.field(repr=False)  # it may contain a key
    path: str | None
    time_limit: float | None


@attrs.frozen
class Report:
    """The providers of a worker.

    Attributes:
        worker: The worker's name in its cluster.
        version: Its version of Deckwright.
        instances: The type and instance of every provider that was made.
        failures: By type and instance, why others were not made.
        problems: Problems with plugins, or with the whole configuration.
    """

    worker: str
    version: str
    instances: frozenset[tuple[str, str]]
    failures: dict[tuple[str, str], str]
    problems: tuple[str, ...]


@attrs.frozen
class SentError:
    """An error, in a form that can be sent.

    Attributes:
        pickled: The error; empty if it cannot be pickled.
        fallback: The most similar error of Deckwright itself, for a receiver without its class.
    """

    pickled: bytes
    fallback: bytes

    @classmethod
    def of(cls, error: BaseException, secrets: Iterable[str]) -> SentError:
        """Return an error without secrets; one that is not Deckwright's becomes a `ProviderError`."""
        if not isinstance(error, errors.DeckwrightError):
            error = as_provider_error(error)  # unlike a pickle, it keeps where it was raised
        error.redact(secrets)
        kind = next(
            each for each in type(error).__mro__ if each.__module__ == errors.DeckwrightError.__module__
        )
        fallback = kind(error.message)
        fallback.__dict__.update({key: value for key, value in vars(error).items() if _pickle(value)})
        return cls(_pickle(error), _pickle(fallback))

    def error(self) -> errors.DeckwrightError:
        """Return the error."""
        try:
            error = pickle.loads(self.pickled)  # noqa: S301 - a worker runs our code anyway
        except Exception:  # noqa: BLE001 - its class is unknown here, or cannot be unpickled
            error = pickle.loads(self.fallback)  # noqa: S301
        return (
            error if isinstance(error, errors.DeckwrightError) else errors.ProviderError(format_error(error))
        )


@attrs.frozen
class SentResult:
    """The result of a request, in a form that can be sent.

    Attributes:
        ending: The ending of the file.
        content: The content of the file; None if there is none.
        metadata: The metadata that can be sent, with each value pickled.
        raised: The error that was raised instead of a result.
    """

    success: bool = False
    error: str | None = None
    ending: str = ""
    content: bytes | None = None
    metadata: Mapping[Any, bytes] = attrs.field(factory=dict)
    failure: SentError | None = None
    raised: SentError | None = None

    @classmethod
    def of(cls, result: Any, secrets: tuple[str, ...]) -> SentResult:
        """Return a result without secrets.

        Raises:
            BadMediaError: It is not a `MediaResult`.
        """
        if not isinstance(result, MediaResult):
            raise errors.BadMediaError(f"it returned {result.__class__.__name__}, not a MediaResult")
        path = result.file_path
        metadata = result.metadata if isinstance(result.metadata, Mapping) else {}
        failure = result.failure
        return cls(
            success=bool(result.success),
            error=None if result.error is None else redact(str(result.error), secrets),
            ending=path.suffix if path is not None else "",
            content=path.read_bytes() if result.success and path is not None and path.is_file() else None,
            metadata={key: pickled for key, value in metadata.items() if (pickled := _pickle(value))},
            failure=SentError.of(failure, secrets) if isinstance(failure, errors.ProviderError) else None,
        )


class WorkerRuntime:
    """The providers of one engine on one worker. Dask keeps it until the build ends."""

    def __init__(self, id: str, setup: Setup) -> None:
        # The build itself reports problems with the configuration; here, only a log could show them.
        logging.getLogger("deckwright").addHandler(logging.NullHandler())
        config = Config(setup.written, path=Path(setup.path) if setup.path else None)
        self.problem = ""
        # The build also shows what plugins print during the setup, with secrets masked.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                self.registry = ProviderRegistry.from_config(
                    config, strict=False, time_limit=setup.time_limit
                )
            except errors.DeckwrightError as error:
                self.problem = str(error)
                self.registry = ProviderRegistry()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="deckwright")
        self.close = weakref.finalize(self, _close, self.registry, self.pool)
        _runtimes[id] = self

    def report(self, worker: str) -> Report:
        """Return which providers were made."""
        registry = self.registry
        return Report(
            worker,
            __version__,
            frozenset((type, instance) for type in registry.plugins.types for instance in registry[type]),
            {(failure.type, failure.instance): str(failure) for failure in registry.failures},
            (self.problem,) if self.problem else tuple(map(str, registry.plugins.problems())),
        )

    def run(self, type: str, instance: str, request: MediaRequest, file_name: str) -> SentResult:
        """Run a request; errors are in the result."""
        secrets = tuple(secret_values(getattr(self.registry.get(type, instance), "config", {})))
        with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
            request = attrs.evolve(request, output_path=Path(folder, file_name))
            try:
                return SentResult.of(self.registry.generate(type, instance, request), secrets)
            except errors.CATCHABLE as error:
                return SentResult(raised=SentError.of(error, secrets))


# By id. Dask owns them.
_runtimes: weakref.WeakValueDictionary[str, WorkerRuntime] = weakref.WeakValueDictionary()


async def report(id: str, dask_worker: Any) -> Report:
    """Return which providers a runtime on this worker has made."""
    return _runtimes[id].report(str(dask_worker.name))


async def run_request(id: str, type: str, instance: str, request: bytes, file_name: str) -> SentResult:
    """Run a request with a runtime on this worker."""
    runtime = _runtimes[id]
    # In a thread of the runtime, since a worker may have few threads.
    return await asyncio.get_running_loop().run_in_executor(
        runtime.pool,
        runtime.run,
        type,
        instance,
        pickle.loads(request),  # noqa: S301 - the sender may run any code here anyway
        file_name,
    )


async def close(id: str) -> None:
    """Close the providers of a runtime on this worker."""
    if runtime := _runtimes.pop(id, None):
        await asyncio.to_thread(runtime.close)


def _close(registry: ProviderRegistry, pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    # If Dask drops the runtime, this is the main thread of the worker, which must not be blocked.
    closing = threading.Thread(target=registry.close, name="deckwright-close", daemon=True)
    closing.start()
    if threading.current_thread() is not threading.main_thread():
        closing.join()


def _pickle(value: Any) -> bytes:
    """Return a pickled value; empty if it cannot be pickled."""
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001 - third-party objects may raise anything
        return b""
