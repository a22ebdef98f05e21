"""Builds of many words: their speed with slow services, the time for one item, and the growth of memory.

Every build runs in a new process, which runs this file again: `python benchmarks/scale.py JOB ARGUMENTS`.
"""

from __future__ import annotations

import csv
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from measure import PART, Figure, from_times

from deckwright import Progress, build_deck
from deckwright.testing.servers import ForvoServer, OpenAIServer
from deckwright.testing.servers.forvo import pronunciation

# Seconds that a service takes to answer, and the number of requests at once.
LATENCY, AT_ONCE = 0.1, 16
# Forvo needs a request for a list and one for a file; OpenAI needs one, and finishes first.
REQUESTS = 2
ONLINE_WORDS = 2_000 // PART
# Milliseconds of our own time that a sound or picture may take, and the number of words to measure it with.
OWN_BOUND, OWN_WORDS = 2.0, 2_000
# How much more memory many words may take than few.
FEW, MANY, MEMORY_BOUND = 1_000, 50_000 // PART, 1.25
OFFLINE_WORDS = 10_000 // PART
SYLLABLES = [consonant + vowel for consonant in "bdlmnrst" for vowel in "aeo"]

# A plugin that writes tiny files in almost no time.
PLUGIN = """
from deckwright import MediaProvider, MediaResult, ProviderInfo, Traits, hookimpl


class Tiny(MediaProvider):
    supported_types = ("audio", "image")
    at_once = 16

    def _generate_media_impl(self, request):
        start, end = (b"ID3 ", b"") if request.type == "audio" else (b"GIF89a ", b";")
        request.target.write_bytes(start + request.content.encode() + end)
        return MediaResult(True, request.target, {"cost": PRICE})

    def get_cost_estimate(self, requests):
        return {"total_cost": PRICE * len(requests), "per_request": PRICE, "requests_count": len(requests)}


@hookimpl
def describe_media_providers():
    traits = Traits(requests_per_item=1 if PRICE else 0)
    return [ProviderInfo(type, "tiny", traits=traits) for type in Tiny.supported_types]


@hookimpl
def register_media_provider(type, name, config):
    return Tiny(config) if name == "tiny" else None
"""


def figures(examples: str) -> Iterator[Figure]:
    yield from from_services()
    yield from own_costs()
    yield from unchanged(examples)


def from_services() -> Iterator[Figure]:
    """Measure a build with two services at once, with threads and with Dask."""
    what = (
        f"media of {ONLINE_WORDS:,} words from two services that take {LATENCY * 1e3:g} ms, {AT_ONCE} at once"
    )
    ideal = math.ceil(ONLINE_WORDS / AT_ONCE) * REQUESTS * LATENCY
    here = _in_new_process("online", engine=None)
    figure = from_times(f"{what} / the slower of them", here["seconds"], ideal, 1.15)
    yield _with_detail(figure, f"{here['cpu']:.1f} s of CPU here, {here['others']:.1f} s in the services")
    name = "... by Dask, with two workers / by threads"
    if importlib.util.find_spec("distributed") is None:
        yield Figure(name, "", detail="the extra dask is not installed")
        return
    dask = _in_new_process("online", engine="dask")
    figure = from_times(name, dask["seconds"], here["seconds"], 1.3)
    yield _with_detail(figure, f"without the start, which takes {dask['start']:.1f} s")


def own_costs() -> Iterator[Figure]:
    """Measure our own time and memory, with providers that take almost none."""
    for price, name in ((0.001, "of a service that is paid"), (0.0, "that costs nothing")):
        found = _in_new_process("tiny", words=OWN_WORDS, price=price)
        own = (found["cpu"] - found["empty"]) / (2 * OWN_WORDS) * 1e3
        yield Figure(
            f"our own CPU time for a sound or picture {name}",
            f"{own:.2f} ms",
            f"{OWN_BOUND:g} ms",
            own <= OWN_BOUND,
            f"{found['cpu']:.1f} s for {OWN_WORDS:,} words",
        )
    few, many = (_in_new_process("tiny", words=words, price=0.0) for words in (FEW, MANY))
    for stage, when in (("media", "when all media are made"), ("peak", "at the end")):
        grown = many[stage] / few[stage]
        each = (many[stage] - few[stage]) / (MANY - FEW)
        yield Figure(
            f"peak memory of {MANY:,} words / of {FEW:,}, {when}",
            f"{grown:.2f} x",
            f"{MEMORY_BOUND} x",
            grown <= MEMORY_BOUND,
            f"{many[stage] / 1e6:.0f} MB against {few[stage] / 1e6:.0f} MB, {each:,.0f} bytes a word",
        )


def unchanged(examples: str) -> Iterator[Figure]:
    """Measure a second build of the same words."""
    first, second = _in_new_process("offline", examples=examples)["seconds"]
    what = f"{OFFLINE_WORDS:,} words offline, once more and unchanged / for the first time"
    yield from_times(what, second, first, 1 / 20)


def _with_detail(figure: Figure, detail: str) -> Figure:
    return Figure(figure.what, figure.value, figure.bound, figure.kept, f"{figure.detail}; {detail}")


def _in_new_process(job: str, **arguments: Any) -> Any:
    """Run a job of this file with an empty store, and return its result."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, job, json.dumps(arguments)],
            check=True,
            stdout=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "DECKWRIGHT_STORE": f"{folder}/store"},
        )
    return json.loads(done.stdout)


# Jobs, each in a folder of its own


def online(engine: str | None) -> dict[str, float]:
    """Build with sounds from the local Forvo server, and pictures from the local OpenAI server."""
    with ExitStack() as stack:
        services = {name: stack.enter_context(_served(name)) for name in ("forvo", "openai")}
        config = _config(
            audio={"forvo": {**services["forvo"], "plan": "commercial", "max_concurrent": AT_ONCE}},
            image={
                "openai": {**services["openai"], "output_format": "webp", "max_concurrent": AT_ONCE},
            },
        )
        if engine:
            config["build"] = {"engine": engine}
        words = _word_list(_invented(ONLINE_WORDS))
        cpu, started = time.process_time(), time.perf_counter()
        report = build_deck(words, language="es", config=config)
        cpu, whole = time.process_time() - cpu, time.perf_counter() - started
        assert set(report.delivered.values()) == {(ONLINE_WORDS, ONLINE_WORDS)}, report.delivered
    seconds = max(report.seconds["sounds"], report.seconds["pictures"])
    others = os.times()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "others": others.children_user + others.children_system,
        "start": whole - seconds - report.seconds["deck"],
    }


def tiny(words: int, price: float) -> dict[str, float]:
    """Build with providers that take almost no time."""
    Path("tiny.py").write_text(f"PRICE = {price}\n{PLUGIN}")
    config = _config(audio={"tiny": {}}, image={"tiny": {}})
    config["plugins"] = {"paths": ["tiny.py"]}
    media_peak = 0

    def on_progress(progress: Progress) -> None:
        nonlocal media_peak
        if progress.stage == "deck" and not progress.done:
            media_peak = _peak()

    def cpu_of(path: Path) -> float:
        started = time.process_time()
        build_deck(path, language="es", config=config, output="tiny.apkg", progress=on_progress)
        return time.process_time() - started

    empty = cpu_of(_word_list(_invented(1, "none")))
    cpu = cpu_of(_word_list(_invented(words)))
    return {"cpu": cpu, "empty": empty, "media": media_peak, "peak": _peak()}


def offline(examples: str) -> dict[str, list[float]]:
    """Build the same words twice, with synthesised sounds and built-in pictures."""
    with Path(examples, "spanish.csv").open(encoding="utf-8", newline="") as file:
        meanings = [row["translation"] for row in csv.DictReader(file)]
    # Short words, as many as needed. The translation decides which of them get a picture.
    invented = map("".join, itertools.product(SYLLABLES, repeat=3))
    words = _word_list(itertools.islice(zip(invented, itertools.cycle(meanings)), OFFLINE_WORDS))
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        report = build_deck(words, language="es", output="offline.apkg")
        seconds.append(time.perf_counter() - started)
        assert report.delivered["sounds"] == (OFFLINE_WORDS, OFFLINE_WORDS), report.delivered
    return {"seconds": seconds}


def serve(name: str) -> None:
    """Print the address of a service, and run it until the input ends."""
    spoken = {word: [pronunciation(word)] for word, _ in _invented(ONLINE_WORDS)} if name == "forvo" else {}
    server = ForvoServer(pronunciations=spoken) if name == "forvo" else OpenAIServer()
    server.latency = LATENCY
    with server:
        print(json.dumps({"base_url": server.base_url, "api_key": server.key}), flush=True)
        sys.stdin.read()


@contextmanager
def _served(name: str) -> Iterator[dict[str, str]]:
    """Start a service in a process of its own; yield its address and key."""
    command = [sys.executable, __file__, "serve", json.dumps({"name": name})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


def _config(**media: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with these media providers, which writes decks to files."""
    types = {**media, "data": {"csv": {}}, "sync": {"apkg": {}}}
    return {
        "providers": {
            type: {name: {"pipelines": ["*"], **settings} for name, settings in instances.items()}
            for type, instances in types.items()
        }
    }


def _invented(count: int, start: str = "palabra") -> Iterator[tuple[str, str]]:
    return ((f"{start} {number}", f"word {number}") for number in range(count))


def _word_list(words: Iterable[tuple[str, str]]) -> Path:
    path = Path("words.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("word", "translation"), *words])
    return path


def _peak() -> int:
    """Return the peak memory of this process, in bytes."""
    try:
        # `resource` also counts the memory that the process had as a copy of its parent.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    jobs: dict[str, Callable[..., object]] = {
        "online": online,
        "tiny": tiny,
        "offline": offline,
        "serve": serve,
    }
    if (found := jobs[sys.argv[1]](**json.loads(sys.argv[2]))) is not None:
        print(json.dumps(found))
