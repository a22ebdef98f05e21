"""The registry: how long it takes to create, look up and select providers, compared with doing it by hand."""

from __future__ import annotations

import importlib
import sys
import tempfile
import timeit
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pluggy
from measure import Figure, from_times, ratio

from deckwright import ProviderRegistry, hooks

PLUGIN = """
from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl

class Voice(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        return MediaResult(False)

@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "{name}")]

@hookimpl
def register_media_provider(type, name, config):
    if (type, name) == ("audio", "{name}"):
        return Voice(config)
"""


def figures() -> Iterator[Figure]:
    yield from from_config()
    yield from many_plugins()
    yield look_up()
    yield pipeline_of_many()


def from_config() -> Iterator[Figure]:
    """Compare 1,000 instances of one provider with 1,000 calls of its class with the same settings."""
    from deckwright_builtins.espeak import Espeak
    from deckwright_builtins.pico import Pico

    cases = (
        ("pico", Pico, {"volume": 0.5, "speed": 0.9}),
        ("espeak", Espeak, {"speed": 140, "pitch": 40, "volume": 90, "timeout": 10}),
    )
    for name, provider, settings in cases:
        instances = {f"i{n}": {"type": name, "pipelines": ["*"], **settings} for n in range(1000)}
        config = {"providers": {"audio": instances}}
        yield ratio(
            f"from_config of 1,000 x {name} ({len(settings)} settings) / its class called 1,000 times",
            lambda config=config: ProviderRegistry.from_config(config),  # type: ignore[misc]
            lambda provider=provider, settings=settings: [provider(dict(settings)) for _ in range(1000)],  # type: ignore[misc]
            1.25,
        )


def many_plugins() -> Iterator[Figure]:
    """Compare 10,000 instances of 1,000 plugins with loading the plugins and calling their classes by hand."""
    names = [f"bench_voice_{n}" for n in range(1000)]
    instances = {f"i{n}": {"type": names[n % 1000], "pipelines": ["*"], "volume": 1} for n in range(10_000)}
    config = {"plugins": {"modules": names}, "providers": {"audio": instances}}

    def forget() -> None:
        for name in names:
            sys.modules.pop(name, None)

    def constructed(modules: list[ModuleType]) -> list[object]:
        return [modules[n % 1000].Voice({"volume": 1}) for n in range(10_000)]

    def imported() -> object:
        forget()
        return constructed([importlib.import_module(name) for name in names])

    def loaded() -> object:
        forget()
        manager = pluggy.PluginManager("deckwright")
        manager.add_hookspecs(hooks)
        modules = [importlib.import_module(name) for name in names]
        for module in modules:
            manager.register(module)
        return constructed(modules)

    def through_registry() -> object:
        forget()
        return ProviderRegistry.from_config(config)

    what = "10,000 instances of 1,000 plugins / {} them and constructing 10,000 by hand"
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            Path(folder, f"{name}.py").write_text(PLUGIN.format(name=name))
        sys.path.insert(0, folder)
        try:
            imported()  # compiles the files for all
            yield ratio(
                what.format("loading (import, pluggy's register)"), through_registry, loaded, 1.5, tries=5
            )
            yield ratio(what.format("only importing"), through_registry, imported, 1.5, tries=5)
        finally:
            sys.path.remove(folder)


def look_up() -> Figure:
    registry, providers = ProviderRegistry(), {"audio": {}}  # type: ignore[var-annotated]
    for n in range(1000):
        registry.register_audio_provider(f"i{n}", object())  # type: ignore[arg-type]
        providers["audio"][f"i{n}"] = object()
    get = registry.get
    ours = min(timeit.repeat(lambda: get("audio", "i500"), number=200_000, repeat=7)) / 200_000
    other = min(timeit.repeat(lambda: providers["audio"]["i500"], number=200_000, repeat=7)) / 200_000
    return from_times('registry.get("audio", "i500") / providers["audio"]["i500"]', ours, other, 3)


def pipeline_of_many() -> Figure:
    """Select the 100 instances of a pipeline 100 times: from 10,000 in the registry, or from those 100 only."""
    small, large = ProviderRegistry(), ProviderRegistry()
    for n in range(10_000):
        large.register_audio_provider(f"i{n}", object())  # type: ignore[arg-type]
        large.set_pipeline_assignments("audio", f"i{n}", ["p"] if n % 100 == 0 else ["q"])
    for n in range(0, 10_000, 100):
        small.register_audio_provider(f"i{n}", object())  # type: ignore[arg-type]
        small.set_pipeline_assignments("audio", f"i{n}", ["p"])

    def select(registry: ProviderRegistry) -> None:
        for _ in range(100):
            registry.set_pipeline_assignments("audio", "none", [])  # any change clears the cached views
            assert len(registry.for_pipeline("p")["audio"]) == 100

    return ratio(
        "for_pipeline, 100 of 10,000 instances / 100 of 100",
        lambda: select(large),
        lambda: select(small),
        1.5,
    )
