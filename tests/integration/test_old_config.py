"""A configuration from before this program, as its users have it: nothing in it needs to be changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright import BuildReport, ProviderRegistry, build_deck
from deckwright.testing.servers import ForvoServer, OpenAIServer, RunwareServer

pytestmark = pytest.mark.usefixtures("clean_folder")

OLD: dict[str, Any] = {
    "providers": {
        "audio": {"forvo": {"type": "audio", "pipelines": ["*"]}},
        "image": {
            "openai": {"type": "image", "pipelines": ["*"]},
            "runware": {"type": "image", "pipelines": ["vocabulary"]},
        },
        "sync": {"anki": {"type": "sync", "pipelines": ["*"]}},
    },
    "apis": {
        "base": {"user_agent": "Cards/1.0", "timeout": 30, "max_retries": 1},
        "openai": {
            "api_key": "${OPENAI_API_KEY}",
            "enabled": True,
            "model": "dall-e-3",
            "base_url": "https://api.openai.com/v1",
            "timeout": 60,
            "cost_per_image": 0.04,
            "cost_limits": {"daily_limit_usd": 5.0, "warn_threshold_usd": 4.0},
        },
        "forvo": {
            "api_key": "${FORVO_API_KEY}",
            "enabled": True,
            "base_url": "https://apifree.forvo.com",
            "country_priorities": ["MX", "CO", "ES", "AR"],
            "priority_groups": [["MX", "CO"], ["ES"]],
            "audio_format": "mp3",
            "audio_quality": "high",
        },
        "runware": {
            "api_key": "${RUNWARE_API_KEY}",
            "enabled": True,
            "base_url": "https://api.runware.ai",
            "cost_per_image": 0.01,
            "cost_limits": {"daily_limit_usd": 2.0, "warn_threshold_usd": 1.5},
        },
    },
    "image_generation": {
        "primary_provider": "runware",
        "providers": {
            "openai": {
                "model": "dall-e-3",
                "style": "vivid",
                "width": 1024,
                "height": 1024,
                "quality": "standard",
            },
            "runware": {
                "model": "runware:101@1",
                "style": "flat illustration",
                "negative_prompt": "text, watermark",
                "width": 512,
                "height": 512,
                "steps": 25,
                "guidance_scale": 7.0,
                "sampler": "euler",
                "output_type": "URL",
                "output_format": "JPG",
                "number_results": 1,
            },
        },
    },
}
KEYS = {"OPENAI_API_KEY": "openai-key", "FORVO_API_KEY": "forvo-key", "RUNWARE_API_KEY": "runware-key"}


@attrs.frozen
class Services:
    forvo: ForvoServer
    openai: OpenAIServer
    runware: RunwareServer


@pytest.fixture
def services() -> Iterator[Services]:
    with ForvoServer() as forvo, OpenAIServer() as openai, RunwareServer() as runware:
        yield Services(forvo, openai, runware)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


def written(config: dict[str, Any]) -> Path:
    path = Path("config.json")
    path.write_text(json.dumps(config))
    return path


@pytest.mark.usefixtures("keys")
def test_all_providers_are_made_and_what_is_of_no_use_any_more_is_told() -> None:
    with ProviderRegistry.from_config(written(OLD)) as registry:
        assert registry.problems() == []
        assert {type: list(registry[type]) for type in ("audio", "image", "sync")} == {
            "audio": ["forvo"],
            "image": ["openai", "runware"],
            "sync": ["anki"],
        }
        told = [
            # Without the file and the line, which is that of the section that the setting stands in.
            str(warning)
            .partition(", line ")[2]
            .partition(", ")[2]
            .replace("will be shut", "was shut")  # by the clock
            for warning in registry.warnings
        ]
    assert sorted(told) == [
        "apis.forvo: audio_quality: unknown setting, did you mean 'audio_format'?",
        "apis.forvo: enabled: unknown setting",
        "apis.openai: enabled: unknown setting",
        "apis.runware: enabled: unknown setting",
        "image_generation.providers.runware: number_results: unknown setting",
        (
            "providers.image.openai: the model dall-e-3 was shut down on 2026-05-12; "
            "use another one, such as gpt-image-2.6-sunburst."
        ),
        "providers.image.openai: the quality 'standard' belongs to retired models; 'medium' is used instead.",
    ]


@pytest.mark.usefixtures("keys")
def test_every_setting_arrives() -> None:
    with ProviderRegistry.from_config(OLD) as registry:
        forvo, openai, runware = (
            registry[type][name].settings
            for type, name in (("audio", "forvo"), ("image", "openai"), ("image", "runware"))
        )
        assert registry["image"]["runware"].base_url == "https://api.runware.ai/v1"
    assert (forvo.api_key, openai.api_key, runware.api_key) == ("forvo-key", "openai-key", "runware-key")
    assert {settings.user_agent for settings in (forvo, openai, runware)} == {"Cards/1.0"}
    assert {settings.max_retries for settings in (forvo, openai, runware)} == {1}
    assert (forvo.timeout, openai.timeout, runware.timeout) == (30, 60, 30)
    assert forvo.priority_groups == [["MX", "CO"], ["ES"]]
    assert (openai.model, openai.style, openai.width, openai.height) == ("dall-e-3", "vivid", 1024, 1024)
    assert (openai.cost_per_image, runware.cost_per_image) == (0.04, 0.01)
    assert openai.cost_limits == {"daily_limit_usd": 5.0, "warn_threshold_usd": 4.0}
    assert (runware.steps, runware.guidance_scale, runware.sampler) == (25, 7.0, "euler")


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.usefixtures("keys")
def test_a_missing_key_is_one_providers_failure(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with ProviderRegistry.from_config(OLD) as registry:
        [failure] = registry.failures
        assert sum(len(registry[type]) for type in ("audio", "image")) == 2
    assert failure.name == name.partition("_")[0].lower()
    assert failure.error == f"the environment variable {name} is not set."


@pytest.mark.usefixtures("keys")
def test_a_deck_is_built_with_it(services: Services) -> None:
    config = json.loads(json.dumps(OLD))
    config["apis"]["forvo"]["base_url"] = services.forvo.base_url
    config["apis"]["openai"]["base_url"] = services.openai.base_url
    config["apis"]["runware"]["base_url"] = services.runware.url  # without its version, as it was written
    config["providers"]["sync"] = {"apkg": {"pipelines": ["*"]}}

    report: BuildReport = build_deck(["hola", "agua"], language="es", config=config, output="deck.apkg")

    assert report.delivered == {"sounds": (2, 2), "pictures": (2, 2)}
    # Nobody has the model any more, so the next provider steps in, and the report says so.
    [problem] = map(str, report.problems)
    assert problem.startswith("image.openai: was disabled: The model 'dall-e-3' does not exist.")
    # The model is gone: that is found out by those that are asked at once, and the next provider is asked.
    assert len(services.openai.requests) <= 2
    assert set(services.runware.charged.values()) == {1}
    [first, *_] = services.runware.requests
    [task] = first.json()
    assert task["positivePrompt"].endswith(" Style: flat illustration")
    assert task.items() >= {"steps": 25, "CFGScale": 7.0, "scheduler": "euler"}.items()
    assert services.forvo.used == 4
