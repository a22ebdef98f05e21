"""A stand-in for the image part of the OpenAI API, and its errors as faults.

Modelled on the types and the error handling of OpenAI's own client library for Python, and on the guides to
rate limits and to deprecations. The library works against it: `OpenAI(base_url=server.base_url, ...)`.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from typing import Any

from deckwright.testing.servers import samples
from deckwright.testing.servers.base import LocalServer, Received, Reply


def error(
    status: int,
    code: str | None,
    message: str,
    *,
    type: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return an error as the API reports it."""
    body = {"error": {"message": message, "type": type, "param": param, "code": code}}
    return Reply.of_json(body, status, {"x-request-id": "req_failed", **(headers or {})})


def rate_limited(retry_after: float | None = 1, *, milliseconds: bool = False) -> Reply:
    """Return the error for too many requests.

    Args:
        retry_after: Seconds until the next attempt; with `None`, no time is sent.
        milliseconds: Use the header `retry-after-ms` instead of `retry-after`.
    """
    headers = {
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "12s",
    }
    if retry_after is not None and milliseconds:
        headers["retry-after-ms"] = f"{retry_after * 1000:g}"
    elif retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    return error(429, "rate_limit_exceeded", "Rate limit reached.", type="requests", headers=headers)


BAD_REQUEST = error(400, "invalid_value", "Invalid value.", param="size")
MODERATION_BLOCKED = error(
    400, "moderation_blocked", "The safety system rejected this request.", type="image_generation_user_error"
)
INVALID_API_KEY = error(401, "invalid_api_key", "Incorrect API key provided.")
FORBIDDEN = error(
    403, "unsupported_country_region_territory", "Not available here.", type="request_forbidden"
)
MODEL_NOT_FOUND = error(404, "model_not_found", "There is no such model.", param="model")
CONFLICT = error(409, "conflict", "Another request is changing this.")
UNPROCESSABLE = error(422, "unprocessable_entity", "This cannot be processed.")
RATE_LIMITED = rate_limited()
# The same status as above, but waiting does not help.
INSUFFICIENT_QUOTA = error(
    429, "insufficient_quota", "You exceeded your current quota.", type="insufficient_quota"
)
SERVER_ERROR = error(500, "server_error", "The server had an error.", type="server_error")
OVERLOADED = error(503, "overloaded", "The engine is overloaded.", type="server_error")

# Models with the day on which they end, where one is announced.
MODELS: dict[str, str | None] = {
    "gpt-image-1-mini": "2026-12-01",
    "gpt-image-1.5": "2026-12-01",
    "chatgpt-image-latest": "2026-12-01",
    "gpt-image-2": None,
    "gpt-image-2-2026-04-21": None,
    "gpt-image-2.5-sunburst": None,
    "gpt-image-2.5-flare": None,
    "gpt-image-2.6-sunburst": None,
    "gpt-image-2.6-flare": None,
}
DEFAULT_MODEL = "gpt-image-2.6-flare"

# These accept only three sizes; later models accept any within a range.
_FIXED_SIZE_MODELS = ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest")
_FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")
_FINEST_MODELS = ("gpt-image-2.5", "gpt-image-2.6")

# Tokens of one picture of 1024 x 1024. The first three were so for the first GPT image model; the others, and that
# tokens grow with the area, are made up.
_TOKENS = {"low": 272, "medium": 1056, "high": 4160, "xhigh": 6240, "max": 8320}
# US dollars per token, as listed for gpt-image-2.6-sunburst.
_TEXT_PRICE = 5e-6
_IMAGE_PRICE = 30e-6

_CHOICES = {
    "quality": ("auto", *_TOKENS),
    "background": ("auto", "opaque", "transparent"),
    "output_format": ("png", "jpeg", "webp", "gif", "svg"),
    "moderation": ("auto", "low"),
    "complexity": ("low", "medium", "high"),
}
# Name, lowest, highest.
_RANGES = {"n": (1, 10), "output_compression": (0, 100), "frame_count": (2, 16), "partial_images": (0, 3)}
_OTHERS = ("model", "prompt", "size", "stream", "svg", "frame_duration_ms", "safety_identifier", "user")


class OpenAIServer(LocalServer):
    """Speaks `POST /v1/images/generations`, `GET /v1/models` and `GET /v1/models/{id}` of the OpenAI API.

    It asks for the key as a bearer token, and checks a request as the GPT image models do: the model must exist;
    `size` is one of three, or for gpt-image-2 and later any whose sides are multiples of 16, in a ratio of at most
    3 to 1, with 655,360 to 8,294,400 pixels and no side above 3840; `n` is 1 to 10; what belonged to retired
    models (`response_format`, `style`) is an unknown parameter. `stream` is refused: there is no streaming here.

    Pictures are real and as large as asked for, all of one colour, which depends on the prompt. Tokens follow from
    quality and size, and what is charged follows from them.

    Attributes:
        models: By id, the day a model ends (`"2026-12-01"`) or `None`; may be changed at any time.
        images_made: How many pictures were made.
        charged: What all of it cost, in US dollars.
    """

    def __init__(
        self,
        key: str = "openai-key",
        models: Mapping[str, str | None] = MODELS,
        *,
        port: int = 0,
        latency: float = 0,
    ) -> None:
        """Prepare a server; it does not listen yet.

        Args:
            key: The only valid API key.
            models: By id, the day a model ends, or `None`.
            port: The port; 0 for any free one.
            latency: Seconds before each reply.
        """
        super().__init__(port=port, latency=latency)
        self.key = key
        self.models = dict(models)
        self.images_made = 0
        self.charged = 0.0

    @property
    def base_url(self) -> str:
        """The value for the setting `base_url` of a provider."""
        return f"{self.url}/v1"

    def respond(self, received: Received) -> Reply:
        """Make pictures, or describe models."""
        if received.headers.get("authorization") != f"Bearer {self.key}":
            return INVALID_API_KEY
        path = received.path.partition("?")[0]
        if (received.method, path) == ("POST", "/v1/images/generations"):
            return self._generate(received)
        if (received.method, path) == ("GET", "/v1/models"):
            return self._ok({"object": "list", "data": [self._model(id) for id in self.models]})
        id = path.removeprefix("/v1/models/")
        if received.method == "GET" and id != path:
            return self._ok(self._model(id)) if id in self.models else MODEL_NOT_FOUND
        return error(404, None, f"Invalid URL ({received.method} {path})")

    def _generate(self, received: Received) -> Reply:
        try:
            given = received.json()
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return error(400, None, "The body is not a JSON object.")
        given = {name: value for name, value in given.items() if value is not None}
        model = given.get("model", DEFAULT_MODEL)
        if not isinstance(model, str) or model not in self.models:
            return error(404, "model_not_found", f"The model {model!r} does not exist.", param="model")
        refusal = _refusal(given, model)
        return refusal or self._ok(self._pictures(given))

    def _pictures(self, given: dict[str, Any]) -> dict[str, Any]:
        prompt, count = given["prompt"], given.get("n", 1)
        size, quality, background = (
            default if given.get(name, "auto") == "auto" else given[name]
            for name, default in (("size", "1024x1024"), ("quality", "medium"), ("background", "opaque"))
        )
        format = given.get("output_format", "png")
        width, height = map(int, size.split("x"))
        images = [
            samples.picture(format, width, height, samples.colour_of(f"{prompt} {self.images_made + i}"))
            for i in range(count)
        ]
        text = -(-len(prompt) // 4)
        drawn = count * round(_TOKENS[quality] * width * height / 1024**2)
        self.images_made += count
        self.charged += text * _TEXT_PRICE + drawn * _IMAGE_PRICE
        return {
            "created": int(time.time()),
            "background": background,
            "output_format": format,
            "quality": quality,
            "size": size,
            "data": [{"b64_json": base64.b64encode(image).decode()} for image in images],
            "usage": {
                "input_tokens": text,
                "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
                "output_tokens": drawn,
                "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
                "total_tokens": text + drawn,
            },
        }

    def _model(self, id: str) -> dict[str, Any]:
        model = {"id": id, "object": "model", "created": 1_750_000_000, "owned_by": "system"}
        end = self.models[id]
        return {**model, "shutdown_date": end} if end else model

    def _ok(self, value: object) -> Reply:
        return Reply.of_json(value, 200, {"x-request-id": f"req_{len(self.requests):06}"})


def _refusal(given: dict[str, Any], model: str) -> Reply | None:
    """Return the error for the first parameter that is wrong."""
    for name, value in given.items():
        if name not in (*_CHOICES, *_RANGES, *_OTHERS):
            return error(400, "unknown_parameter", f"Unknown parameter: {name!r}.", param=name)
        if name in _CHOICES and value not in _CHOICES[name]:
            return _wrong(name, f"Supported values are: {', '.join(_CHOICES[name])}.")
        if name in _RANGES:
            low, high = _RANGES[name]
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                return _wrong(name, f"Expected an integer from {low} to {high}.")
    prompt = given.get("prompt")
    if not prompt:
        return error(400, "missing_required_parameter", "A prompt is required.", param="prompt")
    if not isinstance(prompt, str) or len(prompt) > 32_000:
        return _wrong("prompt", "Expected a text of at most 32000 characters.")
    if given.get("stream"):
        return _wrong("stream", "This server does not stream.")
    if given.get("quality") in ("xhigh", "max") and not model.startswith(_FINEST_MODELS):
        return _wrong("quality", f"{model} does not support it.")
    format = given.get("output_format", "png")
    if given.get("background") == "transparent" and format not in ("png", "webp"):
        return _wrong("background", "Transparency needs png or webp.")
    if "output_compression" in given and format not in ("jpeg", "webp"):
        return _wrong("output_compression", "Compression is for jpeg and webp.")
    problem = _size_problem(given.get("size", "auto"), model)
    return _wrong("size", problem) if problem else None


def _wrong(param: str, explanation: str) -> Reply:
    return error(400, "invalid_value", f"Invalid value for {param!r}. {explanation}", param=param)


def _size_problem(size: object, model: str) -> str:
    if size == "auto" or size in _FIXED_SIZES:
        return ""
    if model in _FIXED_SIZE_MODELS:
        return f"Supported values are: auto, {', '.join(_FIXED_SIZES)}."
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size) if isinstance(size, str) else None
    if not found:
        return "Expected auto or WIDTHxHEIGHT."
    short, long = sorted(map(int, found.groups()))
    if short % 16 or long % 16:
        return "Both sides must be divisible by 16."
    if long > 3 * short:
        return "The aspect ratio must be from 1:3 to 3:1."
    if long > 3840 or not 655_360 <= short * long <= 8_294_400:
        return "The picture must have 655360 to 8294400 pixels and no side above 3840."
    return ""
