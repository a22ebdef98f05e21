"""Plugins that never come back: with a limit, each is left behind, and the others go on."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

import pytest
from plugin_samples import BELL, Sounds, Tone, Write, found, load

from deckwright import ConfigError, ProviderInfo, ProviderRegistry, hookimpl
from deckwright.plugins import Plugins, PluginSettings
from deckwright.plugins.timeouts import PluginTimeoutError, call_with_timeout

pytestmark = pytest.mark.usefixtures("clean_folder")

LIMIT = 0.1
FOR_EVER = "import threading; threading.Event().wait()"


def hang() -> None:
    threading.Event().wait()


def limited(*objects: object, **settings: Any) -> Plugins:
    return Plugins(PluginSettings(**settings), objects=objects, time_limit=LIMIT)


class TestWithin:
    def test_what_is_quick_returns_and_raises_as_ever(self) -> None:
        assert call_with_timeout(LIMIT, lambda: 3) == 3
        assert call_with_timeout(LIMIT, lambda: None) is None
        with pytest.raises(ZeroDivisionError):
            call_with_timeout(LIMIT, lambda: 1 / 0)

    def test_what_takes_too_long_is_an_error(self) -> None:
        with pytest.raises(
            PluginTimeoutError, match=r"took longer than 0.1 s\n  .*time_limit in \[plugins\]"
        ):
            call_with_timeout(LIMIT, hang)

    def test_a_limit_may_be_endless(self) -> None:
        assert call_with_timeout(float("inf"), lambda: 3) == 3

    @pytest.mark.parametrize("limit", [None, 0])
    def test_without_a_limit_the_call_is_in_the_callers_own_thread(self, limit: float | None) -> None:
        assert call_with_timeout(limit, threading.current_thread) is threading.current_thread()

    def test_an_interrupt_goes_through(self) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            call_with_timeout(LIMIT, interrupted)


class TestHanging:
    def test_at_import(self, write: Write) -> None:
        write("stuck.py", FOR_EVER)
        write("bells.py")
        plugins = limited(paths=[Path("stuck.py"), Path("bells.py")])
        record = found(plugins, "stuck")
        assert record.status == "failed"
        assert record.problems[0].message == "cannot be imported: took longer than 0.1 s"
        assert record.file.endswith("stuck.py")
        assert type(plugins.make("audio", "bell", {})).__name__ == "Bell"

    @pytest.mark.parametrize("hook", ["describe_media_providers", "register_provider_types"])
    def test_when_asked_what_it_offers(self, write: Write, hook: str) -> None:
        write("stuck.py", f"from deckwright import hookimpl\n@hookimpl\ndef {hook}():\n    {FOR_EVER}\n")
        plugins = limited(Sounds("bells"), paths=[Path("stuck.py")])
        assert [problem.message for problem in found(plugins, "stuck").problems] == [
            f"{hook} took longer than 0.1 s"
        ]
        assert isinstance(plugins.make("audio", "bell", {}), Tone)

    def test_when_it_is_to_make_anothers_provider_it_is_asked_once(self) -> None:
        asked: list[str] = []

        class Stuck:
            @hookimpl
            def register_media_provider(self, name):
                asked.append(name)
                hang()

        plugins = limited(Stuck(), Sounds("bells"), Sounds("horns", name="horn"))
        assert isinstance(plugins.make("audio", "bell", {}), Tone)
        assert isinstance(plugins.make("audio", "horn", {}), Tone)
        assert asked == ["bell"]
        assert len(found(plugins, "Stuck").problems) == 1

    def test_in_a_constructor_and_when_it_closes(self, caplog: pytest.LogCaptureFixture) -> None:
        class Stuck(Tone):
            def _setup_from_config(self):
                if self.config.get("hangs"):
                    hang()

            def close(self):
                hang()

        class Plugin(Sounds):
            @hookimpl
            def register_media_provider(self, type, name, config):
                return Stuck if name == "bell" else None

        every = {"type": "bell", "pipelines": ["*"]}
        audio = {"a": every, "b": {**every, "hangs": True}, "pico": {"pipelines": ["*"]}}
        with ProviderRegistry.from_config(
            {"providers": {"audio": audio}}, plugins=[Plugin("plugin")], time_limit=LIMIT
        ) as registry:
            assert list(registry["audio"]) == ["a", "pico"]
            [failure] = registry.failures
            assert (failure.instance, failure.error) == ("b", "Stuck took longer than 0.1 s")
        assert "providers.audio.a: could not be closed" in caplog.text

    def test_a_provider_that_asks_the_registry_as_it_closes_waits_for_nobody(self) -> None:
        class Polite(Tone):
            def close(self):
                registry.for_pipeline("another")

        class Plugin(Sounds):
            @hookimpl
            def register_media_provider(self, type, name, config):
                return Polite if name == "bell" else None

        config = {"providers": {"audio": {"bell": {"pipelines": ["*"]}}}}
        registry = ProviderRegistry.from_config(config, plugins=[Plugin("plugin")], time_limit=20)
        registry.close()
        assert registry.problems() == []

    def test_whatever_is_called_need_not_have_a_name(self) -> None:
        class Odd(Tone):
            def __init__(self, config):
                super().__init__(config)
                self.close = functools.partial(super().close)

        class Plugin(Sounds):
            @hookimpl
            def register_media_provider(self, type, name, config):
                return Odd if name == "bell" else None

        config = {"providers": {"audio": {"bell": {"pipelines": ["*"]}}}}
        registry = ProviderRegistry.from_config(config, plugins=[Plugin("plugin")], time_limit=20)
        registry.close()
        assert registry.problems() == []

    def test_an_observer(self) -> None:
        class Stuck:
            @hookimpl
            def provider_registered(self):
                hang()

        everywhere = {"type": "bell", "pipelines": ["*"]}
        registry = ProviderRegistry.from_config(
            {"plugins": {"time_limit": LIMIT}, "providers": {"audio": {"a": everywhere, "b": everywhere}}},
            plugins=[Stuck(), Sounds("bells")],
        )
        assert list(registry["audio"]) == ["a", "b"]
        [problem] = map(str, registry.problems())
        assert "provider_registered took longer than 0.1 s" in problem


class TestThreads:
    class Where(Sounds):
        @hookimpl
        def describe_media_providers(self):
            self.thread = threading.current_thread()
            return [ProviderInfo("audio", "bell")]

    def test_a_program_has_no_limit_and_no_thread_unless_it_says_so(self) -> None:
        plugin = self.Where("where")
        load(plugin)
        assert plugin.thread is threading.current_thread()
        limited(plugin)
        assert plugin.thread is not threading.current_thread()

    def test_the_configuration_has_the_last_word(self) -> None:
        plugin = self.Where("where")
        Plugins(PluginSettings(time_limit=0), objects=[plugin], time_limit=LIMIT)
        assert plugin.thread is threading.current_thread()

    def test_built_in_plugins_are_called_as_ever(self) -> None:
        before = threading.active_count()
        assert limited().make("data", "json", {})
        assert threading.active_count() == before

    def test_a_limit_below_zero_is_told(self) -> None:
        with pytest.raises(ConfigError, match=r"plugins\.time_limit: -1\.?0? is not allowed"):
            ProviderRegistry.from_config({"plugins": {"time_limit": -1}, "providers": {}})


def test_an_interrupt_while_a_plugin_is_imported_is_the_users(write: Write) -> None:
    write("broken.py", f"{BELL}\nraise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        limited(paths=[Path("broken.py")])
