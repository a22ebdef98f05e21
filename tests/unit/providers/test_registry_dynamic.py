"""The registry, one step at a time: what is offered, made, read from a configuration, and set up."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from deckwright import (
    MEDIA_PROVIDER_REGISTRY,
    Config,
    ConfigError,
    DataProvider,
    MediaProvider,
    MediaResult,
    PluginError,
    ProviderConflictError,
    ProviderInfo,
    ProviderRegistry,
    ProviderType,
    SyncProvider,
    SyncResult,
    UnknownProviderError,
    get_provider_registry,
    hookimpl,
)

pytestmark = pytest.mark.usefixtures("clean_folder")

EVERYWHERE = {"pipelines": ["*"]}


class Tone(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        return MediaResult(True, request.output_path)


class Drawing(Tone):
    supported_types = ("image",)


class Notebook(DataProvider):
    def _load_data_impl(self, identifier):
        return []

    def _save_data_impl(self, identifier, data):
        return True

    def exists(self, identifier):
        return False

    def list_identifiers(self):
        return []


class Shelf(SyncProvider):
    def _test_connection_impl(self):
        return True

    def _sync_cards_impl(self, cards):
        return SyncResult(True, len(cards))


WARES = {
    ("audio", "tone"): Tone,
    ("image", "drawing"): Drawing,
    ("data", "notebook"): Notebook,
    ("sync", "shelf"): Shelf,
}


class Shop:
    """Offers one provider of each type, and says so."""

    @hookimpl
    def describe_media_providers(self):
        return [ProviderInfo(type, name) for type, name in WARES]

    @hookimpl
    def register_media_provider(self, type, name, config):
        return WARES[type, name](config)


class Quiet:
    """Makes one provider, and describes none: all that a plugin needs."""

    def __init__(self, type, name, made):
        self.__name__ = f"quiet_{name}"
        self.offer, self.made = (type, name), made
        self.asked = []

    @hookimpl
    def register_media_provider(self, type, name, config):
        self.asked.append((type, name))
        if (type, name) == self.offer:
            return self.made(config)
        return None


def registry_with(*plugins: object) -> ProviderRegistry:
    return ProviderRegistry(plugins=plugins)


def set_up(providers: dict[str, Any], *plugins: object, **sections: Any) -> ProviderRegistry:
    return ProviderRegistry.from_config({"providers": providers, **sections}, plugins=plugins or [Shop()])


class TestProviderMapping:
    """Which plugin offers which provider."""

    def test_the_built_in_providers_are_there_by_type_and_name(self) -> None:
        assert {"csv", "json"} <= set(MEDIA_PROVIDER_REGISTRY["data"])
        assert "apkg" in MEDIA_PROVIDER_REGISTRY["sync"]
        assert "pico" in MEDIA_PROVIDER_REGISTRY["audio"]

    def test_each_entry_says_what_it_is(self) -> None:
        for type, named in MEDIA_PROVIDER_REGISTRY.items():
            for name, info in named.items():
                assert (info.type, info.name) == (type, name)
                assert info.summary

    def test_it_cannot_be_written_to(self) -> None:
        with pytest.raises(TypeError):
            MEDIA_PROVIDER_REGISTRY["audio"] = {}  # type: ignore[index]
        with pytest.raises(TypeError):
            MEDIA_PROVIDER_REGISTRY["audio"]["mine"] = ProviderInfo("audio", "mine")  # type: ignore[index]

    def test_an_unknown_type_is_a_key_error(self) -> None:
        with pytest.raises(KeyError):
            MEDIA_PROVIDER_REGISTRY["smell"]

    def test_a_plugin_that_describes_itself_is_listed_with_what_it_offers(self) -> None:
        plugins = registry_with(Shop()).plugins
        offered = {(info.type, info.name): plugin.name for info, plugin in plugins.describe()}
        assert offered["audio", "tone"] == "Shop"
        assert offered["sync", "shelf"] == "Shop"

    def test_the_list_is_sorted_by_type_and_name(self) -> None:
        keys = [(info.type, info.name) for info, _ in registry_with(Shop()).plugins.describe()]
        assert keys == sorted(keys)

    def test_what_two_plugins_offer_is_listed_once(self) -> None:
        class Rival(Shop):
            pass

        described = registry_with(Shop(), Rival()).plugins.describe()
        assert [info.name for info, _ in described].count("tone") == 1

    def test_info_of_an_instance_is_that_of_its_provider(self) -> None:
        registry = set_up({"audio": {"native": {"type": "tone", **EVERYWHERE}}})
        assert registry.name_of("audio", "native") == "tone"
        assert registry.info_of("audio", "native") == ProviderInfo("audio", "tone")

    def test_of_a_provider_that_nobody_describes_there_is_no_info(self) -> None:
        registry = set_up({"audio": {"hum": EVERYWHERE}}, Quiet("audio", "hum", Tone))
        assert registry.info_of("audio", "hum") is None


class TestProviderCreation:
    """From type, name and settings to a provider."""

    @pytest.mark.parametrize(("type", "name"), WARES)
    def test_every_type_is_made_the_same_way(self, type: str, name: str) -> None:
        provider = registry_with(Shop())._create_media_provider(type, name, {})
        assert isinstance(provider, WARES[type, name])

    def test_a_provider_gets_its_settings_without_those_of_the_registry(self) -> None:
        config = {"type": "tone", "pipelines": ["*"], "pitch": 3, "voice": {"speed": 2}}
        provider = registry_with(Shop())._create_media_provider("audio", "tone", config)
        assert provider.config == {"pitch": 3, "voice": {"speed": 2}}

    def test_an_unknown_type_is_named_with_the_nearest_one(self) -> None:
        with pytest.raises(ValueError, match=r"Unknown provider type: audoi, did you mean 'audio'\?"):
            registry_with()._create_media_provider("audoi", "tone", {})

    def test_an_unknown_name_is_named_with_the_nearest_one_and_all_that_are_known(self) -> None:
        with pytest.raises(
            ValueError, match=r"Unknown audio provider: tome, did you mean 'tone'\?"
        ) as caught:
            registry_with(Shop())._create_media_provider("audio", "tome", {})
        assert isinstance(caught.value, UnknownProviderError)
        assert "pico" in str(caught.value)

    def test_a_fault_of_the_provider_comes_out_as_it_is(self) -> None:
        fault = LookupError("no voice")

        def failing(config):
            raise fault

        with pytest.raises(LookupError) as caught:
            registry_with(Quiet("audio", "hum", failing))._create_media_provider("audio", "hum", {})
        assert caught.value is fault

    def test_a_plugin_may_return_the_class(self) -> None:
        registry = registry_with(Quiet("audio", "hum", lambda config: Tone))
        assert registry._create_media_provider("audio", "hum", {"pitch": 3}).config == {"pitch": 3}

    def test_a_class_whose_constructor_takes_no_config_is_made_without(self) -> None:
        class Plain(Tone):
            def __init__(self) -> None:
                super().__init__({"made": "plainly"})

        registry = registry_with(Quiet("audio", "hum", lambda config: Plain))
        assert registry._create_media_provider("audio", "hum", {"pitch": 3}).config == {"made": "plainly"}

    def test_a_type_error_inside_a_constructor_is_not_taken_for_one_without_config(self) -> None:
        class Faulty(Tone):
            def __init__(self, config=None):
                raise TypeError("a fault of its own")

        registry = registry_with(Quiet("audio", "hum", lambda config: Faulty))
        with pytest.raises(TypeError, match="a fault of its own"):
            registry._create_media_provider("audio", "hum", {})

    @pytest.mark.parametrize("made", [Drawing, lambda config: "a string", lambda config: Drawing])
    def test_what_breaks_the_contract_is_refused_with_the_plugin_named(self, made: Any) -> None:
        with pytest.raises(PluginError, match="quiet_hum") as caught:
            registry_with(Quiet("sync", "hum", made))._create_media_provider("sync", "hum", {})
        assert "SyncProvider" in str(caught.value)

    def test_a_plugin_that_does_not_make_what_it_describes_is_named(self) -> None:
        class Boaster:
            @hookimpl
            def describe_media_providers(self):
                return [ProviderInfo("audio", "aria")]

            @hookimpl
            def register_media_provider(self, type, name, config):
                return None

        with pytest.raises(PluginError, match=r"Boaster.*made nothing for audio/aria"):
            registry_with(Boaster())._create_media_provider("audio", "aria", {})

    def test_a_plugin_that_describes_itself_is_requested_nothing_else(self) -> None:
        # Shop fails with a KeyError when asked for what it does not have.
        registry = registry_with(Shop(), Quiet("audio", "hum", Tone))
        assert isinstance(registry._create_media_provider("audio", "hum", {}), Tone)

    def test_plugins_that_describe_nothing_are_asked_once_for_all_instances(self) -> None:
        hum, hiss = Quiet("audio", "hum", Tone), Quiet("audio", "hiss", Tone)
        providers = {f"hum{i}": {"type": "hum", **EVERYWHERE} for i in range(5)}
        registry = set_up({"audio": providers}, hum, hiss)
        assert len(registry["audio"]) == 5
        assert hiss.asked == [("audio", "hum")]

    def test_a_plugin_that_fails_for_what_is_not_its_own_harms_nobody(self) -> None:
        class Grumpy:
            @hookimpl
            def register_media_provider(self, type, name, config):
                raise RuntimeError("never heard of it")

        registry = registry_with(Grumpy(), Quiet("audio", "hum", Tone))
        assert isinstance(registry._create_media_provider("audio", "hum", {}), Tone)

    def test_two_plugins_for_one_provider_are_both_named_with_the_way_to_settle_it(self) -> None:
        first, second = Quiet("audio", "hum", Tone), Quiet("audio", "hum", Tone)
        second.__name__ = "other_hum"
        with pytest.raises(ProviderConflictError) as caught:
            registry_with(first, second)._create_media_provider("audio", "hum", {})
        assert "other_hum (object) and quiet_hum (object)" in str(caught.value)
        assert '[plugins] prefer = ["other_hum"]' in str(caught.value)

    def test_several_parameters_may_be_left_out_or_be_in_another_order(self) -> None:
        class Brief:
            @hookimpl
            def register_media_provider(self, config, name):
                return Tone(config) if name == "brief" else None

        provider = registry_with(Brief())._create_media_provider("audio", "brief", {"pitch": 3})
        assert provider.config == {"pitch": 3}


class TestConfigurationExtraction:
    """From the sections of a configuration to the settings of each instance."""

    def extract(self, **sections: Any) -> dict[str, dict[str, dict[str, Any]]]:
        registry = ProviderRegistry()
        registry.config = Config(sections)
        return registry._extract_provider_configs()

    def fault(self, **sections: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            self.extract(**sections)
        assert isinstance(caught.value, ValueError)
        return str(caught.value)

    def test_a_type_names_the_provider_and_the_key_is_the_instance(self) -> None:
        found = self.extract(providers={"audio": {"native": {"type": "forvo", "pipelines": ["words"]}}})
        assert found == {"audio": {"native": {"type": "forvo", "pipelines": ["words"]}}}

    def test_a_type_that_is_the_sections_own_leaves_the_name_to_the_key(self) -> None:
        found = self.extract(providers={"audio": {"forvo": {"type": "audio", "pipelines": ["*"]}}})
        assert found["audio"]["forvo"]["type"] == "forvo"

    def test_without_a_type_the_key_is_the_name(self) -> None:
        assert self.extract(providers={"audio": {"forvo": EVERYWHERE}})["audio"]["forvo"]["type"] == "forvo"

    def test_instances_keep_the_order_in_which_they_are_written(self) -> None:
        found = self.extract(
            providers={"image": {"z": EVERYWHERE, "a": EVERYWHERE}, "audio": {"m": EVERYWHERE}}
        )
        assert [(type, list(instances)) for type, instances in found.items()] == [
            ("image", ["z", "a"]),
            ("audio", ["m"]),
        ]

    def test_shared_settings_lie_beneath_the_nearer_wins(self) -> None:
        found = self.extract(
            providers={"image": {"main": {"type": "paint", "own": 1, "pipelines": ["*"]}}},
            apis={
                "base": {"timeout": 5, "retries": 5, "size": 5, "own": 5},
                "paint": {"retries": 3, "own": 3},
                "other": {"unrelated": True},
            },
            image_generation={"providers": {"paint": {"size": 4, "retries": 4, "own": 4}}},
            audio_generation={"providers": {"paint": {"unrelated": True}}},
        )
        assert found["image"]["main"] == {
            "type": "paint",
            "pipelines": ["*"],
            "timeout": 5,
            "size": 4,
            "retries": 3,
            "own": 1,
        }

    def test_what_is_read_twice_is_the_same_and_not_shared(self) -> None:
        registry = ProviderRegistry()
        registry.config = Config({"providers": {"audio": {"forvo": {"speed": 1, "pipelines": ["*"]}}}})
        first = registry._extract_provider_configs()
        first["audio"]["forvo"]["speed"] = 2
        assert registry._extract_provider_configs()["audio"]["forvo"]["speed"] == 1

    def test_pipelines_are_required(self) -> None:
        fault = self.fault(providers={"audio": {"forvo": {"api_key": "x"}}})
        assert "providers.audio.forvo: missing required 'pipelines' field" in fault
        assert 'pipelines = ["*"]' in fault

    @pytest.mark.parametrize("pipelines", ["words", [], [""], [1], {"words": 1}, 7, True])
    def test_pipelines_are_a_list_of_names(self, pipelines: Any) -> None:
        fault = self.fault(providers={"audio": {"forvo": {"pipelines": pipelines}}})
        assert "providers.audio.forvo.pipelines: should be a list of names" in fault

    @pytest.mark.parametrize("type", ["", 1, ["forvo"], None])
    def test_a_type_is_a_name(self, type: Any) -> None:
        fault = self.fault(providers={"audio": {"native": {"type": type, "pipelines": ["*"]}}})
        assert "providers.audio.native.type: should be the name of a provider" in fault

    @pytest.mark.parametrize("providers", [[], "forvo", 3])
    def test_the_section_is_a_table(self, providers: Any) -> None:
        assert "providers: should be a table" in self.fault(providers=providers)

    def test_so_is_each_type_in_it_and_each_instance_and_each_shared_table(self) -> None:
        fault = self.fault(
            providers={"audio": "forvo", "image": {"paint": 3}, "sync": {"shelf": EVERYWHERE}},
            apis={"base": [], "shelf": "x"},
            sync_generation=1,
        )
        assert "providers.audio: should be a table" in fault
        assert "providers.image.paint: should be a table" in fault
        assert "apis.base: should be a table" in fault
        assert "apis.shelf: should be a table" in fault
        assert "sync_generation: should be a table" in fault

    def test_every_fault_is_reported_at_once_and_each_once(self) -> None:
        with pytest.raises(ConfigError) as caught:
            self.extract(
                providers={"audio": {"a": {}, "b": {"pipelines": 1}}, "image": {"c": 1}},
                apis="none",
            )
        assert len(caught.value.diagnostics) == 4

    def test_a_missing_section_is_reported_with_the_nearest_name(self) -> None:
        fault = self.fault(provider={"audio": {}})
        assert "the section is missing" in fault
        assert "did you mean 'provider'?" in fault

    @pytest.mark.parametrize("providers", [{}, {"audio": {}}, {"audio": {}, "image": {}}])
    def test_an_empty_section_is_a_fault(self, providers: Any) -> None:
        assert "providers: is empty" in self.fault(providers=providers)

    def test_the_old_format_is_refused_with_what_to_write_instead(self) -> None:
        fault = self.fault(audio={"type": "forvo", "country": "es"})
        assert "old format" in fault
        assert "[providers.audio.forvo]" in fault
        assert 'country = "es"' in fault
        assert 'pipelines = ["*"]' in fault

    def test_so_is_the_old_format_below_providers(self) -> None:
        assert "old format" in self.fault(providers={"audio": {"type": "forvo"}})

    def test_two_instances_cannot_manage_one_file(self) -> None:
        fault = self.fault(
            providers={
                "data": {
                    "csv": {"files": ["a.csv", "b.csv"], "pipelines": ["*"]},
                    "json": {"files": ["b.csv"], "pipelines": ["*"]},
                }
            }
        )
        assert "File conflicts detected: 'b.csv'" in fault
        assert "providers.data.csv and providers.data.json" in fault


class TestUnifiedSetup:
    """From a configuration to providers that can be looked up."""

    def test_all_types_are_set_up_from_one_configuration(self) -> None:
        registry = set_up({type: {name: EVERYWHERE} for type, name in WARES})
        for type, name in WARES:
            assert isinstance(registry.get(type, name), WARES[type, name])
        assert not registry.problems()

    def test_several_instances_of_one_provider_each_have_their_settings(self) -> None:
        registry = set_up(
            {"audio": {f"tone{i}": {"type": "tone", "pitch": i, "pipelines": ["*"]} for i in range(3)}}
        )
        assert [provider.config["pitch"] for provider in registry["audio"].values()] == [0, 1, 2]

    def test_a_type_that_a_plugin_adds_works_like_those_that_come_with_it(self) -> None:
        class Perfume:
            pass

        class Perfumery:
            @hookimpl
            def register_provider_types(self):
                return [ProviderType("smell", Perfume)]

            @hookimpl
            def register_media_provider(self, type, name, config):
                return Perfume() if (type, name) == ("smell", "rose") else None

        registry = set_up({"smell": {"rose": {"pipelines": ["garden"]}}}, Perfumery())
        assert isinstance(registry["smell"]["rose"], Perfume)
        assert list(registry.for_pipeline("garden")["smell"]) == ["rose"]
        assert registry.for_pipeline("kitchen")["smell"] == {}

    def test_one_failure_does_not_stop_the_others(self) -> None:
        registry = set_up(
            {
                "audio": {"nobody": EVERYWHERE, "tone": EVERYWHERE},
                "smell": {"rose": EVERYWHERE},
                "sync": {"shelf": EVERYWHERE},
            }
        )
        assert list(registry["audio"]) == ["tone"]
        assert list(registry["sync"]) == ["shelf"]
        assert [(failure.type, failure.instance) for failure in registry.failures] == [
            ("audio", "nobody"),
            ("smell", "rose"),
        ]

    def test_a_failure_says_what_where_why_and_how_to_mend_it(self) -> None:
        [failure] = set_up({"audio": {"native": {"type": "tome", "pipelines": ["*"]}}}).failures
        assert (failure.type, failure.instance, failure.name) == ("audio", "native", "tome")
        assert failure.where == "providers.audio.native"
        assert failure.error == "Unknown audio provider: tome, did you mean 'tone'?"
        assert failure.error_type == "UnknownProviderError"
        assert failure.hint.startswith("Known are: ")

    def test_a_failure_names_the_plugin_where_there_is_one(self) -> None:
        def failing(config):
            raise OSError("disk on fire")

        [failure] = set_up({"audio": {"hum": EVERYWHERE}}, Quiet("audio", "hum", failing)).failures
        assert failure.plugin == "quiet_hum (object)"
        assert failure.error == "OSError: disk on fire"

    def test_a_provider_that_exits_is_a_failure_too(self) -> None:
        def exiting(config):
            raise SystemExit("no licence")

        registry = set_up(
            {"audio": {"hum": EVERYWHERE, "tone": EVERYWHERE}}, Quiet("audio", "hum", exiting), Shop()
        )
        assert list(registry["audio"]) == ["tone"]
        assert [failure.error for failure in registry.failures] == ["SystemExit: no licence"]

    def test_what_was_registered_by_the_program_gives_way_to_what_is_configured(self) -> None:
        registry = ProviderRegistry(plugins=[Shop()])
        registry.register_audio_provider("tone", Drawing())
        registry.config = Config({"providers": {"audio": {"tone": {"pipelines": ["words"]}}}})
        registry._setup_media_providers()
        assert type(registry.get("audio", "tone")) is Tone
        assert list(registry.for_pipeline("words")["audio"]) == ["tone"]
        assert registry.for_pipeline("grammar")["audio"] == {}

    def test_a_failure_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        set_up({"audio": {"nobody": EVERYWHERE}})
        assert [record.getMessage().count("Unknown audio provider") for record in caplog.records] == [1]

    def test_observers_hear_of_what_was_made_and_of_what_failed(self) -> None:
        heard: list[Any] = []

        class Ear:
            @hookimpl
            def provider_registered(self, type, instance, name, provider):
                heard.append((type, instance, name, provider))

            @hookimpl
            def provider_failed(self, failure):
                heard.append(failure)

        registry = set_up(
            {"audio": {"native": {"type": "tone", **EVERYWHERE}, "nobody": EVERYWHERE}}, Shop(), Ear()
        )
        assert heard == [
            ("audio", "native", "tone", registry.get("audio", "native")),
            *registry.failures,
        ]

    def test_pipelines_see_their_own_instances_and_those_for_all_in_order(self) -> None:
        registry = set_up(
            {
                "audio": {
                    "a": {"type": "tone", "pipelines": ["words", "grammar"]},
                    "b": {"type": "tone", "pipelines": ["*"]},
                    "c": {"type": "tone", "pipelines": ["words"]},
                }
            }
        )
        assert list(registry.for_pipeline("words")["audio"]) == ["a", "b", "c"]
        assert list(registry.for_pipeline("grammar")["audio"]) == ["a", "b"]
        assert list(registry.for_pipeline("unheard of")["audio"]) == ["b"]

    def test_views_are_read_only(self) -> None:
        registry = set_up({"audio": {"tone": EVERYWHERE}})
        for view in (registry["audio"], registry.for_pipeline("x"), registry.for_pipeline("x")["audio"]):
            with pytest.raises(TypeError):
                view["mine"] = Tone()  # type: ignore[index]

    def test_an_unknown_setting_is_warned_of_with_the_nearest_name(self) -> None:
        @attrs.define
        class Pitch:
            pitch: int = 0

        class Choir:
            @hookimpl
            def describe_media_providers(self):
                return [ProviderInfo("audio", "choir", config_class=Pitch)]

            @hookimpl
            def register_media_provider(self, type, name, config):
                return Tone(config)

        registry = set_up(
            {"audio": {"choir": {"pich": 3, "pipelines": ["*"]}}}, Choir(), apis={"base": {"timeout": 3}}
        )
        assert registry["audio"]["choir"].config == {"pich": 3, "timeout": 3}
        # `timeout` is from [apis.base], which may hold what is for others.
        assert tuple(map(str, registry.warnings)) == (
            "providers.audio.choir: pich: unknown setting, did you mean 'pitch'?",
        )

    def test_what_a_provider_says_of_its_settings_is_a_warning_with_its_place(self) -> None:
        class Fading(Tone):
            def _setup_from_config(self):
                self.warnings = [f"the voice {self.config['voice']} ends with this year."]

        quiet = Quiet("audio", "fading", Fading)
        registry = set_up({"audio": {"old": {"type": "fading", "voice": "Ann", **EVERYWHERE}}}, quiet)
        assert tuple(map(str, registry.warnings)) == (
            "providers.audio.old: the voice Ann ends with this year.",
        )
        assert registry.failures == ()

    def test_settings_are_the_providers_own(self) -> None:
        data = {"providers": {"audio": {"tone": {"voice": {"speed": 1}, "list": [1], "pipelines": ["*"]}}}}
        provider = ProviderRegistry.from_config(data, plugins=[Shop()])["audio"]["tone"]
        provider.config["voice"]["speed"] = 2
        provider.config["list"].append(2)
        assert data["providers"]["audio"]["tone"] == {
            "voice": {"speed": 1},
            "list": [1],
            "pipelines": ["*"],
        }

    def test_variables_are_replaced_before_a_provider_sees_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PITCH", "high")
        registry = set_up(
            {"audio": {"tone": {"pitch": "${PITCH}", "more": {"list": ["${NOTE:c}"]}, "pipelines": ["*"]}}}
        )
        assert registry["audio"]["tone"].config == {"pitch": "high", "more": {"list": ["c"]}}

    def test_an_unset_variable_concerns_only_the_instance_that_needs_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NOT_SET", raising=False)
        registry = set_up(
            {"audio": {"a": {"type": "tone", "key": "${NOT_SET}", **EVERYWHERE}, "tone": EVERYWHERE}}
        )
        assert list(registry["audio"]) == ["tone"]
        [failure] = registry.failures
        assert failure.instance == "a"
        assert str(failure).startswith("providers.audio.a.key: the environment variable NOT_SET is not set")
        assert failure.hint == "Set it."  # a key has no business in a file


class TestBackwardCompatibility:
    """What callers of the specification rely on."""

    @pytest.fixture
    def registry(self) -> ProviderRegistry:
        return ProviderRegistry()

    @pytest.mark.parametrize(
        ("type", "provider"),
        [("data", Notebook()), ("audio", Tone()), ("image", Drawing()), ("sync", Shelf())],
    )
    def test_each_type_has_its_methods(self, registry: ProviderRegistry, type: str, provider: Any) -> None:
        register, get, names = (
            getattr(registry, f"{verb}_{type}_provider{s}")
            for verb, s in (("register", ""), ("get", ""), ("list", "s"))
        )
        assert names() == []
        assert get("mine") is None
        register("mine", provider)
        register("another", provider)
        assert get("mine") is provider
        assert names() == ["mine", "another"]

    def test_a_second_registration_replaces_the_first(self, registry: ProviderRegistry) -> None:
        second = Tone()
        registry.register_audio_provider("mine", Tone())
        assert list(registry.get_providers_for_pipeline("any")["audio"]) == ["mine"]
        registry.register_audio_provider("mine", second)
        assert registry.get_audio_provider("mine") is second
        assert registry.get_providers_for_pipeline("any")["audio"] == {"mine": second}

    def test_lists_and_pipelines_are_new_each_time(self, registry: ProviderRegistry) -> None:
        registry.register_audio_provider("mine", Tone())
        registry.list_audio_providers().clear()
        registry.get_providers_for_pipeline("any")["audio"].clear()
        registry.get_pipeline_assignments("audio", "mine").clear()
        assert registry.list_audio_providers() == ["mine"]
        assert list(registry.get_providers_for_pipeline("any")["audio"]) == ["mine"]
        assert registry.get_pipeline_assignments("audio", "mine") == ["*"]

    def test_data_providers_claim_files(self, registry: ProviderRegistry) -> None:
        registry.register_data_provider("a", Notebook(), {"files": ["words.csv"]})
        with pytest.raises(ValueError, match=r"File conflicts detected: 'words\.csv'"):
            registry.register_data_provider("b", Notebook(), {"files": ["words.csv"]})
        assert registry.list_data_providers() == ["a"]

    def test_a_replaced_data_provider_gives_up_its_files(self, registry: ProviderRegistry) -> None:
        registry.register_data_provider("a", Notebook(), {"files": ["words.csv"]})
        registry.register_data_provider("a", Notebook(), {"files": ["more.csv"]})
        registry.register_data_provider("b", Notebook(), {"files": ["words.csv"]})
        assert registry.list_data_providers() == ["a", "b"]

    def test_without_a_config_a_data_provider_is_requested_its_files(
        self, registry: ProviderRegistry
    ) -> None:
        registry.register_data_provider("a", Notebook({"files": ["words.csv"]}))
        with pytest.raises(ValueError, match="File conflicts detected"):
            registry.register_data_provider("b", Notebook({"files": ["words.csv"]}))

    def test_assignments_say_which_pipelines_see_an_instance(self, registry: ProviderRegistry) -> None:
        registry.register_image_provider("mine", Drawing())
        assert registry.get_pipeline_assignments("image", "mine") == ["*"]
        assert registry.get_pipeline_assignments("image", "nobody's") == ["*"]
        registry.set_pipeline_assignments("image", "mine", ["words"])
        assert registry.get_pipeline_assignments("image", "mine") == ["words"]
        assert list(registry.get_providers_for_pipeline("words")["image"]) == ["mine"]
        assert registry.get_providers_for_pipeline("grammar")["image"] == {}
        registry.set_pipeline_assignments("image", "mine", ["grammar"])
        assert registry.get_providers_for_pipeline("words")["image"] == {}
        assert list(registry.get_providers_for_pipeline("grammar")["image"]) == ["mine"]

    def test_assignments_may_come_before_the_provider(self, registry: ProviderRegistry) -> None:
        registry.set_pipeline_assignments("audio", "mine", ["words"])
        registry.register_audio_provider("mine", Tone())
        assert list(registry.get_providers_for_pipeline("words")["audio"]) == ["mine"]
        assert registry.get_providers_for_pipeline("grammar")["audio"] == {}

    def test_a_pipeline_has_all_four_types(self, registry: ProviderRegistry) -> None:
        assert registry.get_providers_for_pipeline("any") == {
            "data": {},
            "audio": {},
            "image": {},
            "sync": {},
        }

    def test_provider_info_counts_and_names(self, registry: ProviderRegistry) -> None:
        registry.register_audio_provider("a", Tone())
        registry.register_audio_provider("b", Tone())
        assert registry.get_provider_info() == {
            "data_providers": {"count": 0, "names": []},
            "audio_providers": {"count": 2, "names": ["a", "b"]},
            "image_providers": {"count": 0, "names": []},
            "sync_providers": {"count": 0, "names": []},
        }

    def test_clear_all_forgets_providers_assignments_and_claims(self, registry: ProviderRegistry) -> None:
        registry.register_data_provider("a", Notebook(), {"files": ["words.csv"]})
        registry.set_pipeline_assignments("data", "a", ["words"])
        registry.clear_all()
        assert registry.list_data_providers() == []
        assert registry.get_pipeline_assignments("data", "a") == ["*"]
        registry.register_data_provider("b", Notebook(), {"files": ["words.csv"]})
        assert list(registry.get_providers_for_pipeline("any")["data"]) == ["b"]

    def test_there_is_one_default_registry(self) -> None:
        assert get_provider_registry() is get_provider_registry()
        assert isinstance(get_provider_registry(), ProviderRegistry)

    def test_a_program_may_pass_a_mapping_and_call_the_steps_itself(self) -> None:
        registry = ProviderRegistry(plugins=[Shop()])
        registry.config = {"providers": {"audio": {"tone": EVERYWHERE}}}  # type: ignore[assignment]
        provider = registry._create_media_provider("audio", "tone", {})
        registry._register_provider_by_type("audio", "by hand", provider)
        registry._setup_media_providers()
        assert registry.list_audio_providers() == ["by hand", "tone"]

    def test_an_unknown_type_cannot_be_registered(self, registry: ProviderRegistry) -> None:
        with pytest.raises(ValueError, match="Unknown provider type for registration: smell"):
            registry._register_provider_by_type("smell", "rose", object())

    @pytest.mark.parametrize(("type", "name"), WARES)
    def test_registration_by_type_is_that_of_the_type(
        self, registry: ProviderRegistry, type: str, name: str
    ) -> None:
        provider = WARES[type, name]()
        registry._register_provider_by_type(type, name, provider)
        assert getattr(registry, f"get_{type}_provider")(name) is provider

    def test_a_configuration_without_providers_is_a_value_error(self) -> None:
        for given in ({}, {"providers": {}}, {"build": {"language": "es"}}):
            with pytest.raises(ValueError, match="providers"):
                ProviderRegistry.from_config(given)

    def test_a_class_of_the_old_contract_works_as_it_is(self, tmp_path) -> None:
        class Old(MediaProvider):
            def __init__(self, config=None):
                super().__init__(config)

            def validate_config(self, config):
                if "country" not in config:
                    raise ValueError("country is required")

            def _setup_from_config(self):
                self.country = self.config["country"]

            @property
            def supported_types(self):
                return ["audio"]

            def _generate_media_impl(self, request):
                request.output_path.write_text(f"{request.content} in {self.country}")
                return MediaResult(success=True, file_path=request.output_path, metadata={}, error=None)

            def get_cost_estimate(self, requests):
                return {"total_cost": 1.0, "per_request": 1.0, "requests_count": len(requests)}

        registry = set_up(
            {
                "audio": {
                    "old": {"country": "es", **EVERYWHERE},
                    "bad": {"type": "old", **EVERYWHERE},
                }
            },
            Quiet("audio", "old", Old),
        )
        result = registry["audio"]["old"].generate_audio("gato", tmp_path / "gato.mp3")
        assert result.success
        assert (tmp_path / "gato.mp3").read_text() == "gato in es"
        [failure] = registry.failures
        assert (failure.instance, failure.error) == ("bad", "ValueError: country is required")
