"""A plugin for tests: pictures from `PriceServer`, whose price is known afterwards and not before."""

from __future__ import annotations

from typing import Any

import attrs

from deckwright import MediaRequest, MediaResult, ProviderInfo, Traits, hookimpl
from deckwright.toolkit.http import HttpMediaProvider, HttpSettings


@attrs.define(kw_only=True)
class PricedSettings(HttpSettings):
    base_url: str
    price: float | None = None
    cost_limits: dict[str, Any] = attrs.field(factory=dict, metadata={"changes_output": False})


class PricedProvider(HttpMediaProvider):
    config_class = PricedSettings
    supported_types = ("image",)

    def get_cost_estimate(self, requests: Any) -> dict[str, float]:
        estimate = super().get_cost_estimate(requests)
        return estimate if self.settings.price is None else {**estimate, "per_request": self.settings.price}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        reply = self.http.request("POST", self.base_url, json={"word": request.content}, idempotent=False)
        sold = reply.json()
        request.target.write_text(sold["picture"])
        return MediaResult(True, request.target, {"cost": sold["cost"]})


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    return [
        ProviderInfo(
            "image", name, "Sold pictures", config_class=PricedSettings, traits=Traits(requests_per_item=1)
        )
        for name in ("priced", "spare")
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> PricedProvider | None:
    return PricedProvider(config) if type == "image" and name in ("priced", "spare") else None
