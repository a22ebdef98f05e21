"""Builds of many words: how near they come to what services allow, what an item costs, and what grows with the words.

Every build is made in a new process, which is this file again: `python benchmarks/scale.py JOB ARGUMENTS`.
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

from measure import Figure, from_times

from deckwright import Progress, build_deck
from deckwright.testing.servers import ForvoServer, OpenAIServer
from deckwright.testing.servers.forvo import pronunciation

# Seconds that a service takes for a reply, and how many requests it is sent at once.
LATENCY, AT_ONCE = 0.1, 16
# Forvo is asked for a list and then for a file; OpenAI paints in one go, and is done first.
REQUESTS = 2
ONLINE = 2_000
# Milliseconds of our own that a sound or picture may cost, measured with so many words.
OWN_BOUND, COSTLESS = 2.0, 2_000
# How much more memory many words may take than few, most of which is for being a program at all.
FEW, MANY, MEMORY_BOUND = 1_000, 50_000, 1.25
OFFLINE = 10_000
SYLLABLES = [consonant + vowel for consonant in "bdlmnrst" for vowel in "aeo"]

# Tiny files, made in next to no time.
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
    yield from our_own()
    yield from unchanged(examples)


def from_services() -> Iterator[Figure]:
    """Gathering from two services at once, by threads and by Dask."""
    what = (
        f"gathering for {ONLINE:,} words from two services that take {LATENCY * 1e3:g} ms, {AT_ONCE} at once"
    )
    ideal = math.ceil(ONLINE / AT_ONCE) * REQUESTS * LATENCY
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


def our_own() -> Iterator[Figure]:
    """What is left of a build when its providers take nothing: our own time, and memory."""
    for price, name in ((0.001, "of a service that is paid"), (0.0, "that costs nothing")):
        found = _in_new_process("tiny", words=COSTLESS, price=price)
        own = (found["cpu"] - found["empty"]) / (2 * COSTLESS) * 1e3
        yield Figure(
            f"our own CPU time for a sound or picture {name}",
            f"{own:.2f} ms",
            f"{OWN_BOUND:g} ms",
            own <= OWN_BOUND,
            f"{found['cpu']:.1f} s for {COSTLESS:,} words",
        )
    few, many = (_in_new_process("tiny", words=words, price=0.0) for words in (FEW, MANY))
    for stage, when in (("gathered", "when all is gathered"), ("peak", "at the end")):
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
    """Building the same again."""
    first, second = _in_new_process("offline", examples=examples)["seconds"]
    what = f"{OFFLINE:,} words offline, once more and unchanged / for the first time"
    yield from_times(what, second, first, 1 / 20)


def _with_detail(figure: Figure, detail: str) -> Figure:
    return Figure(figure.what, figure.value, figure.bound, figure.kept, f"{figure.detail}; {detail}")


def _in_new_process(job: str, **arguments: Any) -> Any:
    """Have this file do a job, with an empty store; return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, job, json.dumps(arguments)],
            check=True,
            stdout=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "DECKWRIGHT_STORE": f"{folder}/store"},
        )
    return json.loads(done.stdout)


# Jobs, in a folder of their own


def online(engine: str | None) -> dict[str, float]:
    """Gather sounds from Forvo's stand-in, and pictures from OpenAI's."""
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
        words = _word_list(_made_up(ONLINE))
        cpu, started = time.process_time(), time.perf_counter()
        report = build_deck(words, language="es", config=config)
        cpu, whole = time.process_time() - cpu, time.perf_counter() - started
        assert set(report.delivered.values()) == {(ONLINE, ONLINE)}, report.delivered
    seconds = max(report.seconds["sounds"], report.seconds["pictures"])
    others = os.times()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "others": others.children_user + others.children_system,
        "start": whole - seconds - report.seconds["deck"],
    }


def tiny(words: int, price: float) -> dict[str, float]:
    """Build with providers that take nothing."""
    Path("tiny.py").write_text(f"PRICE = {price}\n{PLUGIN}")
    config = _config(audio={"tiny": {}}, image={"tiny": {}})
    config["plugins"] = {"paths": ["tiny.py"]}
    gathered = 0

    def look(progress: Progress) -> None:
        nonlocal gathered
        if progress.stage == "deck" and not progress.done:
            gathered = _peak()

    def cpu_of(path: Path) -> float:
        started = time.process_time()
        build_deck(path, language="es", config=config, output="tiny.apkg", progress=look)
        return time.process_time() - started

    empty = cpu_of(_word_list(_made_up(1, "none")))
    cpu = cpu_of(_word_list(_made_up(words)))
    return {"cpu": cpu, "empty": empty, "gathered": gathered, "peak": _peak()}


def offline(examples: str) -> dict[str, list[float]]:
    """Build the same words twice, with synthesised sounds and built-in pictures."""
    with Path(examples, "spanish.csv").open(encoding="utf-8", newline="") as file:
        meanings = [row["translation"] for row in csv.DictReader(file)]
    # Short, as words are, and as many as are needed. What there is a picture for is told by the translation.
    made_up = map("".join, itertools.product(SYLLABLES, repeat=3))
    words = _word_list(itertools.islice(zip(made_up, itertools.cycle(meanings)), OFFLINE))
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        report = build_deck(words, language="es", output="offline.apkg")
        seconds.append(time.perf_counter() - started)
        assert report.delivered["sounds"] == (OFFLINE, OFFLINE), report.delivered
    return {"seconds": seconds}


def serve(name: str) -> None:
    """Be a service until the input ends, having said where it is."""
    spoken = {word: [pronunciation(word)] for word, _ in _made_up(ONLINE)} if name == "forvo" else {}
    server = ForvoServer(pronunciations=spoken) if name == "forvo" else OpenAIServer()
    server.latency = LATENCY
    with server:
        print(json.dumps({"base_url": server.base_url, "api_key": server.key}), flush=True)
        sys.stdin.read()


@contextmanager
def _served(name: str) -> Iterator[dict[str, str]]:
    """A service in a process of its own, by its address and key."""
    command = [sys.executable, __file__, "serve", json.dumps({"name": name})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


def _config(**media: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with these providers of media, whose decks go into files."""
    types = {**media, "data": {"csv": {}}, "sync": {"apkg": {}}}
    return {
        "providers": {
            type: {name: {"pipelines": ["*"], **settings} for name, settings in instances.items()}
            for type, instances in types.items()
        }
    }


def _made_up(count: int, start: str = "palabra") -> Iterator[tuple[str, str]]:
    return ((f"{start} {number}", f"word {number}") for number in range(count))


def _word_list(words: Iterable[tuple[str, str]]) -> Path:
    path = Path("words.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("word", "translation"), *words])
    return path


def _peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    try:
        # What `resource` tells counts what a process had as a copy of its parent, before it became itself.
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
