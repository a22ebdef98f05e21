"""The engine itself: chooses a worker for each request, and handles lost workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from deckwright import Engine, MediaProvider, MediaRequest, MediaResult, ProviderRegistry, __version__, errors
from deckwright.toolkit.http import HttpProvider
from deckwright.toolkit.install_hints import DASK_EXTRA, missing_dependency
from deckwright.toolkit.media_format import temporary_beside
from deckwright.tracebacks import format_error
from deckwright_builtins.dask import DaskSettings, worker_runtime
from deckwright_builtins.dask.worker_runtime import Report, SentResult, Setup

# The type and name of an instance.
Key = tuple[str, str]


@attrs.define(eq=False)
class _Worker:
    """A worker, with its running requests by instance, and the number of all its requests."""

    address: str
    name: str
    running: Counter[Key] = attrs.field(factory=Counter)
    total: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


class Dask(Engine):
    """Runs requests on workers, each of which makes the providers for itself.

    An instance that uses a service only runs on one worker, because it counts its requests itself: so its limits hold
    for the whole build. All others run everywhere.
    """

    config_class = DaskSettings
    settings: DaskSettings

    def _setup_from_config(self) -> None:
        self._resources = ExitStack()
        self._id = ""
        self._changed = threading.Condition()  # for the following
        self._client: Any | None = None
        self._workers: list[_Worker] = []
        self._max_per_worker: dict[Key, int] = {}
        # The workers of instances that run on one worker only.
        self._pinned: dict[Key, _Worker] = {}

    def check_connection(self) -> str:
        """Get the number of workers from the scheduler."""
        with ExitStack() as stack:
            if self.settings.scheduler is None:
                _require_distributed()
                return ""
            try:
                client = self._connect(stack, self.settings.scheduler)
            except errors.BuildError as error:
                raise errors.ProviderError(error.message, hint=error.hint) from None
            return f"the scheduler answers, and has {len(client.nthreads())} workers"

    def start(self, registry: ProviderRegistry) -> None:
        """Make the providers of this registry on every worker.

        Raises:
            BuildError: There is no scheduler or no worker, or a worker cannot make a provider.
            MissingDependencyError: Dask is not installed.
        """
        required = _required_instances(registry)
        with ExitStack() as stack:
            scheduler = self.settings.scheduler
            if scheduler is None:
                _require_distributed()
                from deckwright_builtins.dask.local import local_workers

                stack.enter_context(_quiet_logs())
                scheduler = stack.enter_context(local_workers(self.settings.workers, self.settings.timeout))
            client = self._connect(stack, scheduler)
            self._id = uuid.uuid4().hex
            addresses = self._start_runtimes(client, stack, setup_of(registry))
            try:
                reports = client.run(worker_runtime.report, self._id, workers=addresses)
            except Exception as error:  # noqa: BLE001 - errors of providers are in the reports
                raise errors.BuildError(
                    f"A worker of the engine dask was lost at the start ({format_error(error)})."
                ) from None
            workers = [_Worker(address, reports[address].worker) for address in addresses]
            _check_reports(required, [(str(worker), reports[worker.address]) for worker in workers])
            stack.callback(self._stop, client)
            self._resources = stack.pop_all()
        with self._changed:
            self._client, self._workers = client, workers
            of_services = [key for key in required if _uses_service(registry, *key)]
            self._pinned = {key: workers[number % len(workers)] for number, key in enumerate(of_services)}

    def at_once(self, type: str, instance: str, provider_allows: int) -> int:
        """Return how many requests of an instance may run at once, on all its workers together."""
        with self._changed:
            self._max_per_worker[type, instance] = provider_allows
            return provider_allows * (1 if (type, instance) in self._pinned else max(1, len(self._workers)))

    def generate(self, type: str, instance: str, request: MediaRequest) -> MediaResult:
        """Run a request on a worker, and write the file beside `request.output_path`.

        Raises:
            TransientError: The worker was lost.
            BuildError: All workers were lost.
        """
        target = request.target
        pickled = pickle.dumps(attrs.evolve(request, output_path=None))
        with self._reserve_worker((type, instance)) as (client, worker):
            try:
                result = self._run(client, worker, type, instance, pickled, target.name)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a provider's errors are in the result
                self._drop_worker(worker)
                raise errors.TransientError(
                    f"Worker {worker} was lost before it answered ({format_error(error)}).", reply_lost=True
                ) from None
        return _received_result(result, target)

    def close(self) -> None:
        """Close the providers of all workers, and end the workers that were started for this build."""
        self._resources.close()

    # Workers

    def _connect(self, stack: ExitStack, scheduler: str) -> Any:
        _require_distributed()
        from distributed import Client

        connect: Any = Client  # its types are incomplete, and type checkers disagree on them
        stack.enter_context(_quiet_logs())
        timeout = self.settings.timeout
        try:
            # The default client may belong to the program.
            client = connect(scheduler, timeout=timeout, set_as_default=False, name="deckwright")
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise errors.BuildError(
                f"No Dask scheduler can be reached at {scheduler} ({format_error(error)}).",
                hint="Correct `scheduler` in [providers.engine.dask], or remove it to start workers on this machine.",
            ) from None
        stack.callback(client.close)
        try:
            client.wait_for_workers(1, timeout=timeout)
        except (OSError, asyncio.TimeoutError):
            raise errors.BuildError(
                f"The Dask scheduler at {scheduler} has no workers.", hint="Start some: dask worker ADDRESS"
            ) from None
        return client

    def _start_runtimes(self, client: Any, stack: ExitStack, setup: Setup) -> list[str]:
        """Start a runtime on every worker, and return the addresses of the workers."""
        addresses = sorted(client.nthreads())
        futures = [
            client.submit(
                worker_runtime.WorkerRuntime,
                self._id,
                setup,
                key=f"deckwright-{self._id}-{number}",
                workers=[address],
                actor=True,
            )
            for number, address in enumerate(addresses)
        ]
        stack.callback(futures.clear)  # until then, they keep the runtimes alive
        latest = time.monotonic() + self.settings.timeout
        for address, future in zip(addresses, futures, strict=True):
            try:
                error = future.exception(timeout=max(0.1, latest - time.monotonic()))
            except (OSError, asyncio.TimeoutError):
                reason = f"it took longer than {self.settings.timeout:g} s"
            else:
                if error is None:
                    continue
                reason = format_error(error)
            raise errors.BuildError(
                f"The worker at {address} cannot set up the providers: {reason}.",
                hint=f'Every worker needs Deckwright {__version__} and its plugins: pip install "{DASK_EXTRA}"',
            )
        return addresses

    def _run(self, client: Any, worker: _Worker, *request: Any) -> SentResult:
        """Run a request on a worker once: neither Dask nor this method sends it again."""
        result: SentResult
        if self.settings.scheduler is None:
            arguments = (self._id, *request)
            result = client.sync(_call, client.rpc(worker.address), worker_runtime.run_request, arguments)
        else:  # through the scheduler, since this machine may not reach the workers of a cluster
            results = client.run(worker_runtime.run_request, self._id, *request, workers=[worker.address])
            result = results[worker.address]
        return result

    @contextmanager
    def _reserve_worker(self, key: Key) -> Iterator[tuple[Any, _Worker]]:
        """Wait until a worker may run another request of an instance, and count the request."""
        allowed = self._max_per_worker.get(key, 1)
        with self._changed:
            while True:
                if self._client is None or not self._workers:
                    raise errors.BuildError("The engine dask has no worker left: all were lost.")
                worker = self._choose_worker(key)
                if worker.running[key] < allowed:
                    break
                self._changed.wait()
            worker.running[key] += 1
            worker.total += 1
            client = self._client
        try:
            yield client, worker
        finally:
            with self._changed:
                worker.running[key] -= 1
                self._changed.notify_all()

    def _choose_worker(self, key: Key) -> _Worker:
        if key not in self._pinned:
            return min(self._workers, key=lambda worker: (worker.running[key], worker.total))
        if self._pinned[key] not in self._workers:
            pinned = Counter(map(id, self._pinned.values()))
            self._pinned[key] = min(self._workers, key=lambda worker: pinned[id(worker)])
        return self._pinned[key]

    def _drop_worker(self, worker: _Worker) -> None:
        """Use a worker no more; without the scheduler, none of them."""
        with self._changed:
            is_connected = self._client is not None and self._client.status == "running"
            self._workers = [each for each in self._workers if each is not worker] if is_connected else []
            self._changed.notify_all()

    def _stop(self, client: Any) -> None:
        with self._changed:
            addresses = [worker.address for worker in self._workers]
            self._client, self._workers, self._pinned = None, [], {}
            self._changed.notify_all()
        if addresses:
            with contextlib.suppress(Exception):  # a lost worker has nothing to close
                client.run(worker_runtime.close, self._id, workers=addresses, on_error="ignore")


async def _call(worker: Any, function: Any, arguments: tuple[Any, ...]) -> Any:
    """Like `Client.run`, but directly to a worker, which takes half the time."""
    reply = await worker.run(function=pickle.dumps(function), args=pickle.dumps(arguments))
    if reply["status"] != "OK":
        raise RuntimeError(reply.get("text", "no reason given"))
    return reply["result"]


def setup_of(registry: ProviderRegistry) -> Setup:
    """Return what every worker needs to make the providers of a registry."""
    config = registry.config
    return Setup(
        _as_plain(config.written) if config else {},
        str(config.path.absolute()) if config and config.path else None,
        registry.time_limit,
    )


def _as_plain(value: Any) -> Any:
    """Return nested settings as dicts and lists; a program may have used other mappings."""
    if isinstance(value, Mapping):
        return {str(key): _as_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain(inner) for inner in value]
    return value


def _required_instances(registry: ProviderRegistry) -> list[Key]:
    """Return the type and instance of every media provider: workers must be able to make all of them."""
    required, only_here = [], []
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            if not isinstance(provider, MediaProvider) and not hasattr(provider, "generate_media"):
                continue
            required.append((type, instance))
            owner = registry.owner(type, instance)
            if owner is None:
                only_here.append(f"providers.{type}.{instance} was registered by the program itself")
            elif owner.provenance.kind == "object":
                only_here.append(
                    f"providers.{type}.{instance} belongs to the plugin {owner.name}, an object of the program"
                )
    if only_here:
        raise errors.BuildError(
            "\n".join(["The workers of the engine dask cannot make some providers:", *only_here]),
            hint="Add their modules or paths to [plugins] in the configuration.",
        )
    return required


def _uses_service(registry: ProviderRegistry, type: str, instance: str) -> bool:
    """Return whether an instance uses a service; one without a description may do so."""
    info = registry.info_of(type, instance)
    return (
        info is None
        or info.traits.requests_per_item > 0
        or isinstance(registry.get(type, instance), HttpProvider)
    )


def _check_reports(required: Sequence[Key], reports: Sequence[tuple[str, Report]]) -> None:
    """Raise `BuildError` unless every worker has every required provider."""
    problems = []
    for worker, report in reports:
        if report.version != __version__:
            problems.append(f"Worker {worker} has Deckwright {report.version}, but this is {__version__}.")
        missing = [key for key in required if key not in report.instances]
        for type, instance in missing:
            reason = report.failures.get((type, instance), "it is not in its configuration")
            problems.append(f"Worker {worker} has no providers.{type}.{instance}: {reason}")
        if missing:
            problems += [f"Worker {worker}: {problem}" for problem in report.problems]
    if problems:
        raise errors.BuildError(
            "\n".join(problems),
            hint="Every worker needs the same plugins as this machine, and the environment variables with keys.",
        )


def _received_result(result: SentResult, target: Path) -> MediaResult:
    """Write the file of a result and return the result, or raise the error of the provider."""
    if result.raised:
        raise result.raised.error()
    path = target.with_name(target.stem + result.ending) if result.success else None
    if path and result.content is not None:
        with temporary_beside(path) as temporary:
            temporary.write_bytes(result.content)
            temporary.replace(path)
    metadata = {}
    for key, value in result.metadata.items():
        with contextlib.suppress(Exception):  # its class may be unknown here
            metadata[key] = pickle.loads(value)  # noqa: S301 - a worker runs our code anyway
    failure: Any = result.failure.error() if result.failure else None
    return MediaResult(result.success, path, metadata, result.error, failure)


def _require_distributed() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise missing_dependency("The engine dask needs more packages", error, DASK_EXTRA) from error


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Hide Dask's own log messages about problems that this engine reports."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
