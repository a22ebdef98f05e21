"""The side of the build: who of the workers is asked, and what becomes of one that is lost."""

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

from deckwright import (
    BuildError,
    Engine,
    MediaProvider,
    MediaRequest,
    MediaResult,
    MissingDependencyError,
    ProviderError,
    ProviderRegistry,
    TransientError,
    __version__,
)
from deckwright.toolkit.http import HttpProvider
from deckwright.toolkit.install_hints import DASK_EXTRA
from deckwright.toolkit.media_format import temporary_beside
from deckwright.tracebacks import format_error
from deckwright_builtins.dask import DaskSettings, bench

Key = tuple[str, str]


@attrs.define(eq=False)
class _Worker:
    """A worker, how many requests of each instance it is busy with, and how many it had in all."""

    address: str
    name: str
    busy: Counter[Key] = attrs.field(factory=Counter)
    asked: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


class Dask(Engine):
    """Has requests carried out by workers, each of which makes the providers for itself.

    An instance that speaks to a service is made use of on one worker only, since it counts its requests for itself: so
    its limits are those of the whole build. All others work everywhere.
    """

    config_class = DaskSettings
    settings: DaskSettings

    def _setup_from_config(self) -> None:
        self._open = ExitStack()
        self._client: Any | None = None
        self._id = ""
        self._workers: list[_Worker] = []
        self._allowed: dict[Key, int] = {}
        # Instances that work on one worker only, and on which.
        self._at: dict[Key, _Worker] = {}
        # For the four above.
        self._changed = threading.Condition()

    def check_connection(self) -> str:
        """Ask the scheduler how many workers it has."""
        with ExitStack() as stack:
            if self.settings.scheduler is None:
                _require_distributed()
                return ""
            try:
                client = self._connected(stack, self.settings.scheduler)
            except BuildError as error:
                raise ProviderError(error.message, hint=error.hint) from None
            return f"the scheduler answers, and has {len(client.nthreads())} workers"

    def start(self, registry: ProviderRegistry) -> None:
        """Have every worker make the providers of this registry.

        Raises:
            BuildError: There is no scheduler or no worker, or one that cannot make a provider that was made here.
            MissingDependencyError: Dask is not installed.
        """
        needed = _needed(registry)
        with ExitStack() as stack:
            scheduler = self.settings.scheduler
            if scheduler is None:
                _require_distributed()
                from deckwright_builtins.dask.local import local_workers

                stack.enter_context(_quiet())
                scheduler = stack.enter_context(local_workers(self.settings.workers, self.settings.timeout))
            client = self._connected(stack, scheduler)
            self._id = uuid.uuid4().hex
            addresses = self._with_benches(client, stack, setup_of(registry))
            try:
                reports = client.run(bench.report, self._id, workers=addresses)
            except Exception as error:  # noqa: BLE001 - of whatever kind; what providers raise is in the reports
                raise BuildError(
                    f"A worker of the engine dask was lost at the start ({format_error(error)})."
                ) from None
            workers = [_Worker(address, reports[address].worker) for address in addresses]
            _require_all(needed, [(str(worker), reports[worker.address]) for worker in workers])
            stack.callback(self._stop, client)
            self._open = stack.pop_all()
        with self._changed:
            self._client, self._workers = client, workers
            of_services = [key for key in needed if _is_of_a_service(registry, *key)]
            self._at = {key: workers[number % len(workers)] for number, key in enumerate(of_services)}

    def at_once(self, type: str, instance: str, provider_allows: int) -> int:
        """Return how many requests may be made of an instance: as many on every worker that it works on."""
        with self._changed:
            self._allowed[type, instance] = provider_allows
            return provider_allows * (1 if (type, instance) in self._at else max(1, len(self._workers)))

    def generate(self, type: str, instance: str, request: MediaRequest) -> MediaResult:
        """Have a worker carry out a request, and write what it made beside `request.output_path`.

        Raises:
            TransientError: The worker was lost.
            BuildError: There is none left.
        """
        target = request.target
        sent = pickle.dumps(attrs.evolve(request, output_path=None))
        with self._turn((type, instance)) as (client, worker):
            try:
                outcome = self._carried_out(client, worker, type, instance, sent, target.name)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what a provider raises is an outcome
                self._lose(worker)
                raise TransientError(
                    f"Worker {worker} was lost before it answered ({format_error(error)}).", reply_lost=True
                ) from None
        return _result(outcome, target)

    def close(self) -> None:
        """Close the providers of all workers, and end those workers that were started for this build."""
        self._open.close()

    # Workers

    def _connected(self, stack: ExitStack, scheduler: str) -> Any:
        _require_distributed()
        from distributed import Client

        connect: Any = Client  # which is typed in part, and in ways that checkers take differently
        stack.enter_context(_quiet())
        timeout = self.settings.timeout
        try:
            # Not as the default client: a program may have one of its own.
            client = connect(scheduler, timeout=timeout, set_as_default=False, name="deckwright")
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise BuildError(
                f"No Dask scheduler can be reached at {scheduler} ({format_error(error)}).",
                hint="Correct `scheduler` in [providers.engine.dask], or take it out to have workers started here.",
            ) from None
        stack.callback(client.close)
        try:
            client.wait_for_workers(1, timeout=timeout)
        except (OSError, asyncio.TimeoutError):
            raise BuildError(
                f"The Dask scheduler at {scheduler} has no workers.",
                hint="Start some: dask worker ADDRESS",
            ) from None
        return client

    def _with_benches(self, client: Any, stack: ExitStack, setup: bench.Setup) -> list[str]:
        """Have a bench on every worker, and return their addresses."""
        addresses = sorted(client.nthreads())
        futures = [
            client.submit(
                bench.Bench,
                self._id,
                setup,
                key=f"deckwright-{self._id}-{number}",
                workers=[address],
                actor=True,
            )
            for number, address in enumerate(addresses)
        ]
        stack.callback(futures.clear)  # until then, they keep the benches
        latest = time.monotonic() + self.settings.timeout
        for address, future in zip(addresses, futures, strict=True):
            try:
                error = future.exception(timeout=max(0.1, latest - time.monotonic()))
            except (OSError, asyncio.TimeoutError):
                why = f"it took longer than {self.settings.timeout:g} s"
            else:
                if error is None:
                    continue
                why = format_error(error)
            raise BuildError(
                f"The worker at {address} cannot set up the providers: {why}.",
                hint=f'Every worker needs Deckwright {__version__} and its plugins: pip install "{DASK_EXTRA}"',
            )
        return addresses

    def _carried_out(self, client: Any, worker: _Worker, *what: Any) -> bench.Outcome:
        """Have a worker carry out what is sent, once: neither Dask nor this sends anything again."""
        outcome: bench.Outcome
        if self.settings.scheduler is None:
            outcome = client.sync(_run, client.rpc(worker.address), bench.carry_out, (self._id, *what))
        else:  # by way of the scheduler, since this machine need not be able to reach the workers of a cluster
            of_each = client.run(bench.carry_out, self._id, *what, workers=[worker.address])
            outcome = of_each[worker.address]
        return outcome

    @contextmanager
    def _turn(self, key: Key) -> Iterator[tuple[Any, _Worker]]:
        """Wait until a worker may be asked for an instance, and count the request as one that it is busy with."""
        allowed = self._allowed.get(key, 1)
        with self._changed:
            while True:
                if self._client is None or not self._workers:
                    raise BuildError("The engine dask has no worker left: all were lost.")
                worker = self._chosen(key)
                if worker.busy[key] < allowed:
                    break
                self._changed.wait()
            worker.busy[key] += 1
            worker.asked += 1
            client = self._client
        try:
            yield client, worker
        finally:
            with self._changed:
                worker.busy[key] -= 1
                self._changed.notify_all()

    def _chosen(self, key: Key) -> _Worker:
        if key not in self._at:
            return min(self._workers, key=lambda worker: (worker.busy[key], worker.asked))
        if self._at[key] not in self._workers:
            of_each = Counter(map(id, self._at.values()))
            self._at[key] = min(self._workers, key=lambda worker: of_each[id(worker)])
        return self._at[key]

    def _lose(self, worker: _Worker) -> None:
        """Ask a worker no more; without the scheduler, none of them."""
        with self._changed:
            is_connected = self._client is not None and self._client.status == "running"
            self._workers = [each for each in self._workers if each is not worker] if is_connected else []
            self._changed.notify_all()

    def _stop(self, client: Any) -> None:
        with self._changed:
            addresses = [worker.address for worker in self._workers]
            self._client, self._workers, self._at = None, [], {}
            self._changed.notify_all()
        if addresses:
            with contextlib.suppress(Exception):  # one that is lost has nothing to close
                client.run(bench.close, self._id, workers=addresses, on_error="ignore")


async def _run(worker: Any, function: Any, arguments: tuple[Any, ...]) -> Any:
    """As `Client.run`, straight to a worker, which is half the way."""
    reply = await worker.run(function=pickle.dumps(function), args=pickle.dumps(arguments))
    if reply["status"] != "OK":
        raise RuntimeError(reply.get("text", "no reason given"))
    return reply["result"]


def setup_of(registry: ProviderRegistry) -> bench.Setup:
    """Return what is sent to every worker before anything else."""
    config = registry.config
    return bench.Setup(
        _plain(config.written) if config else {},
        str(config.path.absolute()) if config and config.path else None,
        registry.time_limit,
    )


def _plain(value: Any) -> Any:
    """Return nested settings as dicts and lists; a program may have put other mappings there."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _needed(registry: ProviderRegistry) -> list[Key]:
    """Return the type and instance of every provider of media, all of which a worker must be able to make.

    Raises:
        BuildError: Some exist in this program only.
    """
    needed, only_here = [], []
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            if not isinstance(provider, MediaProvider) and not hasattr(provider, "generate_media"):
                continue
            needed.append((type, instance))
            owner = registry.owner(type, instance)
            if owner is None:
                only_here.append(f"providers.{type}.{instance} was registered by the program itself")
            elif owner.provenance.kind == "object":
                only_here.append(
                    f"providers.{type}.{instance} is of the plugin {owner.name}, an object of the program"
                )
    if only_here:
        raise BuildError(
            "\n".join(["The workers of the engine dask cannot make some providers:", *only_here]),
            hint="Let [plugins] in the configuration name them, as modules or paths.",
        )
    return needed


def _is_of_a_service(registry: ProviderRegistry, type: str, instance: str) -> bool:
    """Say whether an instance speaks to a service; one that says nothing of itself may do so."""
    info = registry.info_of(type, instance)
    return (
        info is None
        or info.traits.requests_per_item > 0
        or isinstance(registry.get(type, instance), HttpProvider)
    )


def _require_all(needed: Sequence[Key], reports: Sequence[tuple[str, bench.Report]]) -> None:
    """Raise `BuildError` unless every worker has every provider that is needed."""
    faults = []
    for worker, report in reports:
        if report.version != __version__:
            faults.append(f"Worker {worker} has Deckwright {report.version}, and this is {__version__}.")
        missing = [key for key in needed if key not in report.instances]
        for type, instance in missing:
            why = report.failures.get((type, instance), "it is not in its configuration")
            faults.append(f"Worker {worker} has no providers.{type}.{instance}: {why}")
        if missing:
            faults += [f"Worker {worker}: {problem}" for problem in report.problems]
    if faults:
        raise BuildError(
            "\n".join(faults),
            hint="Every worker needs the same plugins as this machine, and the variables of the environment with keys.",
        )


def _result(outcome: bench.Outcome, target: Path) -> MediaResult:
    """Return the result of a request, its file written.

    Raises:
        DeckwrightError: What the provider raised.
    """
    if outcome.raised:
        raise outcome.raised.error()
    path = target.with_name(target.stem + outcome.ending) if outcome.success else None
    if path and outcome.content is not None:
        with temporary_beside(path) as temporary:
            temporary.write_bytes(outcome.content)
            temporary.replace(path)
    metadata = {}
    for key, value in outcome.metadata.items():
        with contextlib.suppress(Exception):  # of a class that is known only there
            metadata[key] = pickle.loads(value)  # noqa: S301 - a worker runs our code anyway
    failure: Any = outcome.failure.error() if outcome.failure else None
    return MediaResult(outcome.success, path, metadata, outcome.error, failure)


def _require_distributed() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"The engine dask needs packages that are not there ({error}).",
            hint=f'pip install "{DASK_EXTRA}"',
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from telling what this engine tells, in fewer words."""
    loggers = [
        logging.getLogger(name)
        for name in logging.root.manager.loggerDict
        if name.split(".")[0] == "distributed"
    ]
    levels = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)
