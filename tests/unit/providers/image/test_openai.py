from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from deckwright import (
    AuthenticationError,
    BadMediaError,
    ContentPolicyError,
    InvalidRequestError,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderError,
    ProviderRegistry,
    QuotaError,
    RateLimitedError,
    SettingError,
    TransientError,
)
from deckwright.testing.servers import (
    Dropped,
    Exchange,
    HtmlPage,
    LostReply,
    OpenAIServer,
    Received,
    Reply,
    Slow,
    Truncated,
    openai,
)
from deckwright.testing.servers.samples import picture
from deckwright_builtins import openai as plugin
from deckwright_builtins.openai import OpenAI

Make = Callable[..., OpenAI]
Generate = Callable[..., MediaResult]

PNG = picture("png", 16, 16, (1, 2, 3))
ENCODED = base64.b64encode(PNG).decode()
DATA_URI = f"data:image/png;base64,{ENCODED}"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def make(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make providers that ask the server, wait for nothing, and are closed in the end."""
    monkeypatch.setattr("deckwright.toolkit.http.client._DEFAULT_BACKOFF", lambda state: 0.0)
    made: list[OpenAI] = []

    def make(**settings: Any) -> OpenAI:
        given = {"api_key": server.key, "base_url": server.base_url, "max_retries": 0, **settings}
        made.append(OpenAI(given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def generate(tmp_path: Path) -> Generate:
    """Have a picture painted into a file."""

    def generate(provider: OpenAI, prompt: str = "a red apple", **params: str) -> MediaResult:
        return provider.generate_image(prompt, tmp_path / "picture.png", **params)

    return generate


def configured(**settings: Any) -> ProviderRegistry:
    """Make a registry with this provider in it."""
    config = {"providers": {"image": {"openai": {"pipelines": ["*"], **settings}}}}
    return ProviderRegistry.from_config(config)


def body(server: OpenAIServer, number: int = -1) -> Any:
    return server.requests[number].json()


class TestPicture:
    def test_a_request_is_what_the_service_takes(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        assert generate(make()).success
        [received] = server.requests
        assert (received.method, received.path) == ("POST", "/v1/images/generations")
        assert received.headers["authorization"] == "Bearer openai-key"
        assert received.json() == {
            "model": "gpt-image-2.6-sunburst",
            "prompt": "a red apple",
            "n": 1,
            "size": "1024x1024",
            "quality": "low",
            "output_format": "jpeg",
            "output_compression": 80,
        }

    @pytest.mark.parametrize(
        ("format", "ending", "start"),
        [("jpeg", ".jpg", b"\xff\xd8"), ("png", ".png", b"\x89PNG"), ("webp", ".webp", b"RIFF")],
    )
    def test_the_file_is_called_for_what_is_in_it(
        self, make: Make, generate: Generate, format: str, ending: str, start: bytes
    ) -> None:
        path = generate(make(output_format=format)).file_path
        assert path is not None
        assert path.name == f"picture{ending}"
        assert path.read_bytes().startswith(start)

    def test_another_format_than_was_requested_is_called_by_its_own_name(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        server.fail(Reply.of_json({"data": [{"b64_json": ENCODED}]}))
        path = generate(make(output_format="webp")).file_path
        assert path is not None
        assert (path.name, path.read_bytes()) == ("picture.png", PNG)

    @pytest.mark.parametrize(
        ("settings", "sent"),
        [
            ({"output_format": "jpeg"}, 80),
            ({"output_format": "webp", "output_compression": 0}, 0),
            ({"output_format": "png", "output_compression": 50}, None),
        ],
    )
    def test_compression_is_for_formats_that_lose_something(
        self, server: OpenAIServer, make: Make, generate: Generate, settings: dict[str, Any], sent: int | None
    ) -> None:
        assert generate(make(**settings)).success
        assert body(server).get("output_compression") == sent

    @pytest.mark.parametrize(
        ("settings", "sent"),
        [
            ({}, "1024x1024"),
            ({"size": "1536x1024"}, "1536x1024"),
            ({"size": "auto"}, "auto"),
            ({"width": 1024, "height": 1536}, "1024x1536"),
            ({"width": "1024", "height": "1536"}, "1024x1536"),
            ({"width": 1536, "height": 864, "size": "1024x1024"}, "1536x864"),
        ],
    )
    def test_a_size_is_one_setting_or_two(
        self, server: OpenAIServer, make: Make, generate: Generate, settings: dict[str, Any], sent: str
    ) -> None:
        result = generate(make(**settings))
        assert body(server)["size"] == sent
        assert result.metadata["size"] == (sent if sent != "auto" else "1024x1024")

    @pytest.mark.parametrize(
        ("settings", "key", "problem"),
        [
            ({"width": 1024}, "height", "is missing; width and height go together"),
            ({"height": 1024}, "width", "is missing; width and height go together"),
            ({"width": 0, "height": 0}, "width", "0 is not allowed (must be more than 0)"),
            ({"width": 1024, "height": -1}, "height", "-1 is not allowed (must be more than 0)"),
            ({"size": "big"}, "size", '\'big\' is not allowed (a size is "auto" or like "1024x1024")'),
            (
                {"size": "1024x"},
                "size",
                '\'1024x\' is not allowed (a size is "auto" or like "1024x1024")',
            ),
            ({"output_format": "gif"}, "output_format", "should be one of 'jpeg', 'png', 'webp', not 'gif'"),
            (
                {"output_compression": 101},
                "output_compression",
                "101 is not allowed (must be 0 to 100)",
            ),
            ({"model": ""}, "model", "'' is not allowed (must be not empty)"),
            (
                {"base_url": "api.openai.com"},
                "base_url",
                "'api.openai.com' is not allowed (an address begins with https:// or http:// and names a host)",
            ),
            (
                {"prompt": "a {thing}"},
                "prompt",
                "'a {thing}' is not allowed (known are {meaning}, {word}, {translation} and {language})",
            ),
            (
                {"prompt": "{word.colour}"},
                "prompt",
                "'{word.colour}' is not allowed (known are {meaning}, {word}, {translation} and {language})",
            ),
            ({"cost_per_image": -1}, "cost_per_image", "-1 is not allowed (must be at least 0)"),
        ],
    )
    def test_a_setting_that_cannot_be_is_refused(
        self, make: Make, settings: dict[str, Any], key: str, problem: str
    ) -> None:
        with pytest.raises(SettingError) as caught:
            make(**settings)
        assert (caught.value.key, caught.value.problem) == (key, problem)

    @pytest.mark.parametrize("prices", [{"ouput": 30}, {"output": "much"}, {"output": -1}, {"output": None}])
    def test_prices_that_cannot_be_reckoned_with_are_refused(
        self, make: Make, prices: dict[str, Any]
    ) -> None:
        with pytest.raises(SettingError) as caught:
            make(usage_prices=prices)
        assert caught.value.key == "usage_prices"
        assert "(prices are numbers, of text_input, image_input, output)" in caught.value.problem

    @pytest.mark.parametrize("quality", ["low", "medium", "high", "xhigh", "max", "auto"])
    def test_a_quality_is_passed_on(
        self, server: OpenAIServer, make: Make, generate: Generate, quality: str
    ) -> None:
        provider = make(quality=quality)
        assert generate(provider).success
        assert body(server)["quality"] == quality
        assert list(provider.warnings) == []

    def test_a_transparent_background_and_lax_moderation_may_be_requested(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        assert generate(make(output_format="png", background="transparent", moderation="low")).success
        assert body(server).items() >= {"background": "transparent", "moderation": "low"}.items()

    def test_what_is_known_of_the_picture_is_reported(self, make: Make, generate: Generate) -> None:
        metadata = generate(make()).metadata
        assert metadata.pop("usage")["output_tokens"] == 272
        assert metadata.pop("cost") == pytest.approx((3 * 5 + 272 * 30) / 1e6)
        assert metadata == {
            "prompt": "a red apple",
            "model": "gpt-image-2.6-sunburst",
            "size": "1024x1024",
            "quality": "low",
            "request_id": "req_000001",
        }


class TestPrompt:
    @pytest.mark.parametrize(
        ("settings", "params", "prompt"),
        [
            ({}, {}, "perro"),
            ({"style": "watercolour"}, {}, "perro Style: watercolour"),
            (
                {"prompt": "{word}/{translation}/{language}"},
                {"language": "es-MX", "translation": "dog"},
                "perro/dog/Spanish",
            ),
            ({"prompt": "{word}/{translation}/{language}"}, {"language": "es"}, "perro//Spanish"),
            ({"prompt": "{word} in {language}"}, {"language": "tlh"}, "perro in tlh"),
            (
                {"prompt": "Draw {meaning}.", "style": "ink"},
                {"language": "es", "translation": "{dog}"},
                'Draw the Spanish word "perro" (in other words: "{dog}"). Style: ink',
            ),
            ({"prompt": "Draw {meaning}."}, {"language": "es"}, 'Draw the Spanish word "perro".'),
        ],
    )
    def test_a_word_goes_into_the_prompt_and_a_prompt_stays_as_it_is(
        self,
        server: OpenAIServer,
        make: Make,
        generate: Generate,
        settings: dict[str, Any],
        params: dict[str, str],
        prompt: str,
    ) -> None:
        result = generate(make(**settings), "perro", **params)
        assert body(server)["prompt"] == result.metadata["prompt"] == prompt

    def test_by_default_it_asks_for_a_picture_of_a_card(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        generate(make(), "犬", language="ja", translation="dog")
        prompt = body(server)["prompt"]
        assert 'the Japanese word "犬" (in other words: "dog")' in prompt
        assert "without any writing" in prompt


class TestWarnings:
    @pytest.fixture
    def today(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[date], None]:
        """Set the date."""

        def today(day: date) -> None:
            class Date(date):
                @classmethod
                def today(cls) -> Any:
                    return day

            monkeypatch.setattr(plugin, "date", Date)

        return today

    @pytest.mark.parametrize(
        ("model", "day", "said"),
        [
            ("dall-e-3", date(2026, 11, 24), "the model dall-e-3 was shut down on 2026-05-12"),
            ("dall-e-2", date(2026, 5, 11), "the model dall-e-2 will be shut down on 2026-05-12"),
            ("gpt-image-1", date(2026, 10, 23), "the model gpt-image-1 was shut down on 2026-10-23"),
            ("gpt-image-1", date(2026, 10, 22), "the model gpt-image-1 will be shut down on 2026-10-23"),
            ("gpt-image-1.5", date(2026, 11, 30), "the model gpt-image-1.5 will be shut down on 2026-12-01"),
            ("gpt-image-1-mini", date(2027, 1, 1), "the model gpt-image-1-mini was shut down on 2026-12-01"),
        ],
    )
    def test_a_model_with_an_end_is_reported_with_its_day(
        self, today: Callable[[date], None], model: str, day: date, said: str
    ) -> None:
        today(day)
        with configured(api_key="a-key", model=model) as registry:
            assert registry.problems() == []
            assert list(map(str, registry.warnings)) == [
                f"providers.image.openai: {said}; use another one, such as gpt-image-2.6-sunburst."
            ]

    @pytest.mark.parametrize(("former", "quality"), [("standard", "medium"), ("hd", "high")])
    def test_the_former_name_of_a_quality_is_translated_and_told(
        self, server: OpenAIServer, generate: Generate, make: Make, former: str, quality: str
    ) -> None:
        with configured(api_key=server.key, base_url=server.base_url, quality=former) as registry:
            assert list(map(str, registry.warnings)) == [
                (
                    f"providers.image.openai: the quality {former!r} belongs to retired models; "
                    f"{quality!r} is used instead."
                )
            ]
            assert generate(registry["image"]["openai"]).success
        assert body(server)["quality"] == quality

    def test_an_unknown_setting_is_reported(self) -> None:
        with configured(api_key="key", qualty="low") as registry:
            [warning] = map(str, registry.warnings)
        assert "qualty: unknown setting, did you mean 'quality'?" in warning

    @pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-3-next", "stable-diffusion:xl"])
    def test_other_models_are_passed_on_without_a_word(
        self, server: OpenAIServer, make: Make, generate: Generate, model: str
    ) -> None:
        server.models[model] = None
        provider = make(model=model)
        assert list(provider.warnings) == []
        assert generate(provider).success
        assert body(server)["model"] == model


class TestCompatibleServers:
    def test_a_link_in_place_of_the_picture_is_followed_without_the_key(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        server.fail(Reply.of_json({"created": 1, "data": [{"url": f"{server.url}/picture"}]}))
        server.fail(Reply(200, PNG), when=lambda received: received.path == "/picture")
        result = generate(make())
        assert result.file_path is not None
        assert result.file_path.read_bytes() == PNG
        assert "authorization" not in server.requests[1].headers
        assert server.key not in repr(server.requests[1])

    def test_a_picture_that_is_gone_is_reported(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        server.fail(Reply.of_json({"data": [{"url": f"{server.url}/picture"}]}))
        server.fail(HtmlPage("Gone", 410), when=lambda received: received.path == "/picture")
        failure = generate(make()).failure
        assert isinstance(failure, BadMediaError)
        assert failure.message == "127.0.0.1 does not send the file (status 410)."

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_the_address_may_end_in_a_slash(
        self, server: OpenAIServer, make: Make, generate: Generate, slash: str
    ) -> None:
        assert generate(make(base_url=server.base_url + slash)).success

    @pytest.mark.parametrize(
        "picture", [{"b64_json": ENCODED, "url": ""}, {"b64_json": ENCODED, "url": None}]
    )
    @pytest.mark.parametrize(
        "usage", [{}, {"usage": None}, {"usage": []}, {"usage": {"output_tokens": None}}]
    )
    def test_whatever_else_is_missing_a_picture_is_a_picture(
        self,
        server: OpenAIServer,
        make: Make,
        generate: Generate,
        picture: dict[str, Any],
        usage: dict[str, Any],
    ) -> None:
        server.fail(Reply.of_json({"data": [picture], **usage}))
        result = generate(make())
        assert result.success
        assert result.metadata["cost"] is None
        assert result.metadata["size"] == "1024x1024"

    @pytest.mark.parametrize(
        ("answer", "kind", "message"),
        [
            ({"data": []}, ProviderError, "The response has no picture."),
            ({"data": None}, ProviderError, "The response has no picture."),
            ({"data": ["a picture"]}, ProviderError, "The response has no picture."),
            ({"error": {"message": "no"}}, ProviderError, "The response has no picture."),
            ([], ProviderError, "The response has no picture."),
            ("a picture", ProviderError, "The response has no picture."),
            (None, ProviderError, "The response has no picture."),
            ({"data": [{}]}, BadMediaError, "The response has no picture."),
            ({"data": [{"url": None, "b64_json": None}]}, BadMediaError, "The response has no picture."),
            (
                {"data": [{"b64_json": "!!!"}]},
                BadMediaError,
                "The picture in the response is not valid base64.",
            ),
            (
                {"data": [{"b64_json": ENCODED[:-3]}]},
                BadMediaError,
                "The picture in the response is not valid base64.",
            ),
            (
                {"data": [{"b64_json": "bm8="}]},
                BadMediaError,
                "the file is text, but a picture was expected",
            ),
            (
                {"data": [{"b64_json": base64.b64encode(PNG[:-20]).decode()}]},
                BadMediaError,
                "the png file is incomplete",
            ),
            (
                {"data": [{"url": "file:///etc/passwd"}]},
                BadMediaError,
                "The service links to a file: address, which is not allowed.",
            ),
        ],
    )
    def test_an_answer_without_a_picture_is_reported_and_leaves_no_file(
        self,
        server: OpenAIServer,
        make: Make,
        generate: Generate,
        tmp_path: Path,
        answer: Any,
        kind: type[ProviderError],
        message: str,
    ) -> None:
        server.fail(Reply.of_json(answer))
        result = generate(make())
        assert type(result.failure) is kind
        assert result.error == result.failure.message == message
        assert list(tmp_path.iterdir()) == []


class TestErrors:
    KEY = "Check the key, and what it may be used for."

    @pytest.mark.parametrize(
        ("fault", "kind", "message", "hint"),
        [
            (
                openai.BAD_REQUEST,
                InvalidRequestError,
                "127.0.0.1 answered 400 (Bad Request): Invalid value. (invalid_value, request req_failed)",
                None,
            ),
            (
                openai.MODERATION_BLOCKED,
                ContentPolicyError,
                "The safety system rejected this request. (moderation_blocked, request req_failed)",
                "Change the prompt, or make this card without a picture.",
            ),
            (
                openai.error(400, "content_policy_violation", "Not that."),
                ContentPolicyError,
                "Not that. (content_policy_violation, request req_failed)",
                "Change the prompt, or make this card without a picture.",
            ),
            (
                openai.INVALID_API_KEY,
                AuthenticationError,
                (
                    "127.0.0.1 answered 401 (Unauthorized): Incorrect API key provided. "
                    "(invalid_api_key, request req_failed)"
                ),
                KEY,
            ),
            (
                openai.FORBIDDEN,
                AuthenticationError,
                (
                    "127.0.0.1 answered 403 (Forbidden): Not available here. "
                    "(unsupported_country_region_territory, request req_failed)"
                ),
                KEY,
            ),
            (
                openai.MODEL_NOT_FOUND,
                AuthenticationError,
                "There is no such model. (model_not_found, request req_failed)",
                "Set `model` to one that the key may use, such as gpt-image-2.6-sunburst.",
            ),
            (
                openai.error(404, None, "Invalid URL."),
                InvalidRequestError,
                (
                    "127.0.0.1 answered 404 (Not Found): Invalid URL. "
                    "(invalid_request_error, request req_failed)"
                ),
                "Check `base_url` and `model`.",
            ),
            (
                openai.CONFLICT,
                TransientError,
                "Another request is changing this. (conflict, request req_failed)",
                None,
            ),
            (
                openai.RATE_LIMITED,
                RateLimitedError,
                (
                    "127.0.0.1 answered 429 (Too Many Requests): Rate limit reached. "
                    "(rate_limit_exceeded, request req_failed)"
                ),
                None,
            ),
            (
                openai.INSUFFICIENT_QUOTA,
                QuotaError,
                "You exceeded your current quota. (insufficient_quota, request req_failed)",
                "Add money on the billing page of the account, or raise its limit.",
            ),
            (
                openai.error(400, "billing_hard_limit_reached", "Enough."),
                QuotaError,
                "Enough. (billing_hard_limit_reached, request req_failed)",
                "Add money on the billing page of the account, or raise its limit.",
            ),
            (
                openai.SERVER_ERROR,
                TransientError,
                (
                    "127.0.0.1 answered 500 (Internal Server Error): The server had an error. "
                    "(server_error, request req_failed)"
                ),
                None,
            ),
            (
                openai.OVERLOADED,
                TransientError,
                (
                    "127.0.0.1 answered 503 (Service Unavailable): The engine is overloaded. "
                    "(overloaded, request req_failed)"
                ),
                None,
            ),
            (
                Reply(408),
                TransientError,
                "127.0.0.1 answered 408 (Request Timeout): no reason given",
                None,
            ),
            (
                Reply.of_json({"error": "out of memory"}, 500),
                TransientError,
                '127.0.0.1 answered 500 (Internal Server Error): {"error": "out of memory"}',
                None,
            ),
            (
                Reply.of_json({"detail": "no"}, 400),
                InvalidRequestError,
                '127.0.0.1 answered 400 (Bad Request): {"detail": "no"}',
                None,
            ),
            (
                Reply.of_json({"error": {"message": "Payment needed."}}, 402),
                QuotaError,
                "127.0.0.1 answered 402 (Payment Required): Payment needed. (402)",
                "Add money to the account.",
            ),
            (
                Reply(307, headers={"Location": "https://elsewhere.test/"}),
                ProviderError,
                "127.0.0.1 redirects requests to https://elsewhere.test/.",
                "Check base_url.",
            ),
        ],
    )
    def test_each_is_distinguished_from_the_others(
        self,
        server: OpenAIServer,
        make: Make,
        generate: Generate,
        fault: Any,
        kind: type[ProviderError],
        message: str,
        hint: str | None,
    ) -> None:
        server.fail(fault)
        result = generate(make())
        assert type(result.failure) is kind
        assert result.error == result.failure.message == message
        assert result.failure.hint == hint

    def test_unprocessable_is_the_requests_fault(
        self, server: OpenAIServer, make: Make, generate: Generate
    ) -> None:
        server.fail(openai.UNPROCESSABLE)
        failure = generate(make()).failure
        assert type(failure) is InvalidRequestError
        assert failure.message.endswith(
            "This cannot be processed. (unprocessable_entity, request req_failed)"
        )

    @pytest.mark.parametrize(
        ("fault", "seconds"),
        [
            (openai.rate_limited(7), 7.0),
            (openai.rate_limited(0.25, milliseconds=True), 0.25),
            (openai.rate_limited(None), None),
        ],
    )
    def test_how_long_to_wait_is_as_the_service_says(
        self, server: OpenAIServer, make: Make, generate: Generate, fault: Reply, seconds: float | None
    ) -> None:
        server.fail(fault)
        failure = generate(make()).failure
        assert isinstance(failure, RateLimitedError)
        assert failure.retry_after == seconds

    @pytest.mark.parametrize(
        "fault",
        [openai.INSUFFICIENT_QUOTA, openai.INVALID_API_KEY, openai.FORBIDDEN, openai.MODEL_NOT_FOUND],
    )
    def test_these_end_it_for_the_run(
        self, server: OpenAIServer, make: Make, generate: Generate, fault: Reply
    ) -> None:
        server.fail(fault)
        failure = generate(make()).failure
        assert failure is not None
        assert failure.out_for_run

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"model": "gpt-image-9"}, "The model 'gpt-image-9' does not exist. (model_not_found, request "),
            ({"quality": "best"}, "Invalid value for 'quality'. Supported values are: auto, low, "),
            ({"size": "1000x1000"}, "Invalid value for 'size'. Both sides must be divisible by 16."),
            ({"background": "transparent"}, "Invalid value for 'background'. Transparency needs png or webp"),
        ],
    )
    def test_what_the_service_does_not_take_is_reported_in_its_words(
        self, server: OpenAIServer, make: Make, generate: Generate, settings: dict[str, Any], said: str
    ) -> None:
        result = generate(make(**settings))
        assert result.error is not None
        assert said in result.error
        assert server.images_made == 0

    @pytest.mark.parametrize(
        ("fault", "requests"),
        [
            (openai.rate_limited(0), 3),
            (openai.rate_limited(0, milliseconds=True), 3),
            (openai.rate_limited(None), 3),
            (openai.rate_limited(300), 1),
            (openai.INSUFFICIENT_QUOTA, 1),
            (openai.BAD_REQUEST, 1),
            (openai.MODERATION_BLOCKED, 1),
            (openai.INVALID_API_KEY, 1),
            (openai.MODEL_NOT_FOUND, 1),
            (openai.CONFLICT, 3),
            (openai.SERVER_ERROR, 3),
            (openai.OVERLOADED, 3),
            # The picture may have been made, and paid for.
            (Dropped(), 1),
            (HtmlPage("Bad gateway", 502), 1),
            (HtmlPage("Gateway time-out", 504), 1),
            (HtmlPage(), 1),
        ],
    )
    def test_only_what_may_pass_and_costs_nothing_is_tried_again(
        self, server: OpenAIServer, make: Make, generate: Generate, fault: Any, requests: int
    ) -> None:
        server.fail(fault, times=None)
        assert not generate(make(max_retries=2)).success
        assert len(server.requests) == requests

    def test_a_second_try_may_succeed(self, server: OpenAIServer, make: Make, generate: Generate) -> None:
        server.fail(openai.SERVER_ERROR)
        server.fail(openai.rate_limited(0))
        assert generate(make(max_retries=2)).success
        assert server.images_made == 1

    @pytest.mark.parametrize(
        "fault",
        [
            LostReply(),
            LostReply(Dropped(reset=True)),
            LostReply(HtmlPage("Gateway time-out", 504)),
            LostReply(HtmlPage("Welcome to this hotel")),
            LostReply(Slow(60)),
            Truncated(),
        ],
    )
    def test_a_picture_whose_reply_was_lost_is_not_paid_twice(
        self, server: OpenAIServer, make: Make, generate: Generate, fault: Any
    ) -> None:
        server.fail(fault)
        timeout = 0.3 if fault == LostReply(Slow(60)) else 30
        failure = generate(make(max_retries=2, timeout=timeout)).failure
        assert isinstance(failure, TransientError)
        assert failure.reply_lost
        assert (server.images_made, len(server.requests)) == (1, 1)

    def test_a_server_that_is_not_there_may_be_asked_again(self, make: Make, generate: Generate) -> None:
        with OpenAIServer() as gone:
            provider = make(base_url=gone.base_url)
        failure = generate(provider).failure
        assert isinstance(failure, TransientError)
        assert not failure.reply_lost
        assert failure.message.startswith("127.0.0.1 cannot be reached (")

    def test_sounds_are_not_delivered(self, server: OpenAIServer, make: Make, tmp_path: Path) -> None:
        failure = make().generate_audio("hola", tmp_path / "hola.mp3").failure
        assert isinstance(failure, InvalidRequestError)
        assert server.requests == []

    def test_a_request_without_a_file_is_refused_before_it_costs(
        self, server: OpenAIServer, make: Make
    ) -> None:
        failure = make().generate_media(MediaRequest("image", "a red apple")).failure
        assert isinstance(failure, InvalidRequestError)
        assert server.requests == []

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({}, "is required and missing"),
            ({"api_key": ""}, "the given secret is not allowed (it is empty)"),
            ({"api_key": "${OPENAI_API_KEY}"}, "the environment variable OPENAI_API_KEY is not set."),
            *(
                (
                    {"api_key": key},
                    (
                        "the given secret is not allowed "
                        "(a key has no spaces, line breaks or characters beyond ASCII)"
                    ),
                )
                for key in ("sk-123\n", "sk 123", "sk-schlüssel")
            ),
        ],
    )
    def test_without_a_key_it_is_not_made_and_the_reason_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], problem: str
    ) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        with configured(**settings) as registry:
            [failure] = registry.failures
            assert registry.get("image", "openai") is None
        assert (failure.where, failure.error) == ("providers.image.openai.api_key", problem)


class TestMoney:
    @pytest.mark.parametrize(
        "settings",
        [{}, {"quality": "high"}, {"size": "1536x1024", "quality": "medium"}, {"style": "x" * 500}],
    )
    def test_the_cost_is_what_was_charged(
        self, server: OpenAIServer, make: Make, generate: Generate, settings: dict[str, Any]
    ) -> None:
        cost = generate(make(**settings)).metadata["cost"]
        assert cost == pytest.approx(server.charged)

    @pytest.mark.parametrize(
        ("settings", "cost"),
        [
            (
                {"usage_prices": {"text_input": 10, "image_input": 20, "output": 40}},
                3 * 10 + 200 * 20 + 10880,
            ),
            ({"usage_prices": {"output": 40}}, 10880),
            ({"model": "gpt-image-2", "usage_prices": {"output": 40}}, 10880),
            ({"model": "gpt-image-2"}, None),
            ({"model": "gpt-image-2", "cost_per_image": 0.02}, 20_000),
            # What was charged is known better than by any setting for estimates.
            ({"cost_per_image": 0.02}, 3 * 5 + 200 * 8 + 272 * 30),
        ],
    )
    def test_prices_may_be_set(
        self,
        server: OpenAIServer,
        make: Make,
        generate: Generate,
        settings: dict[str, Any],
        cost: float | None,
    ) -> None:
        usage = {
            "input_tokens": 203,
            "input_tokens_details": {"text_tokens": 3, "image_tokens": 200},
            "output_tokens": 272,
        }
        server.fail(Reply.of_json({"data": [{"b64_json": ENCODED}], "usage": usage}))
        found = generate(make(**settings)).metadata["cost"]
        assert found == (None if cost is None else pytest.approx(cost / 1e6))

    @pytest.mark.parametrize(
        ("settings", "each"),
        [
            ({}, 0.006),
            ({"quality": "medium"}, 0.053),
            ({"quality": "high"}, 0.211),
            ({"quality": "standard"}, 0.053),
            ({"quality": "max"}, 0.211),
            ({"size": "auto"}, 0.006),
            ({"size": "2048x1024"}, 0.012),
            ({"width": 2048, "height": 2048}, 0.024),
            ({"cost_per_image": 0.5}, 0.5),
            ({"cost_per_image": 0}, 0.0),
        ],
    )
    def test_an_estimate_asks_nobody(
        self, server: OpenAIServer, make: Make, settings: dict[str, Any], each: float
    ) -> None:
        requests = [MediaRequest("image", word) for word in ("one", "two", "three")]
        found = make(**settings).get_cost_estimate(requests)
        assert found == pytest.approx({"total_cost": 3 * each, "per_request": each, "requests_count": 3})
        assert make(**settings).fetch_cost_estimate(requests) == found
        assert server.requests == []

    def test_nothing_costs_nothing(self, make: Make) -> None:
        assert make().get_cost_estimate([])["total_cost"] == 0.0


class TestCheckConnection:
    @pytest.mark.parametrize(
        ("model", "found"),
        [
            ("gpt-image-2.6-sunburst", "the key is accepted, and gpt-image-2.6-sunburst is available"),
            ("gpt-image-1.5", "the key is accepted, and gpt-image-1.5 is available until 2026-12-01"),
        ],
    )
    def test_it_finds_the_model_without_paying(
        self, server: OpenAIServer, make: Make, model: str, found: str
    ) -> None:
        assert make(model=model).check_connection() == found
        assert [received.path for received in server.requests] == ["/v1/models"]
        assert server.charged == 0

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (
                "gpt-image-2.6-sunbrust",
                (
                    "the key is accepted, but it cannot use a model 'gpt-image-2.6-sunbrust', "
                    "did you mean 'gpt-image-2.6-sunburst'?"
                ),
            ),
            ("picasso", "the key is accepted, but it cannot use a model 'picasso'."),
        ],
    )
    def test_a_model_that_is_not_there_is_reported_with_the_nearest(
        self, make: Make, model: str, message: str
    ) -> None:
        with pytest.raises(NotFoundError) as caught:
            make(model=model).check_connection()
        assert caught.value.message == message

    @pytest.mark.parametrize(
        "answer",
        [
            Reply(405),
            Reply.of_json([]),
            Reply.of_json({"models": []}),
            Reply.of_json({"data": ["gpt-image-2"]}),
        ],
    )
    def test_a_server_may_keep_its_models_to_itself(
        self, server: OpenAIServer, make: Make, answer: Any
    ) -> None:
        server.fail(answer)
        assert make().check_connection() == "the service answers, but does not list its models"

    @pytest.mark.parametrize("answer", [openai.error(404, None, "Invalid URL"), HtmlPage("Not found", 404)])
    def test_an_address_with_nothing_there_is_reported(
        self, server: OpenAIServer, make: Make, answer: Any
    ) -> None:
        server.fail(answer)
        with pytest.raises(InvalidRequestError) as caught:
            make().check_connection()
        assert caught.value.hint == "Check `base_url` and `model`."

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (openai.INVALID_API_KEY, AuthenticationError),
            (openai.SERVER_ERROR, TransientError),
            (HtmlPage(), TransientError),
            (Dropped(), TransientError),
        ],
    )
    def test_what_keeps_it_from_working_is_raised(
        self, server: OpenAIServer, make: Make, fault: Any, kind: type[ProviderError]
    ) -> None:
        server.fail(fault)
        with pytest.raises(kind):
            make().check_connection()

    def test_a_wrong_key_is_refused(self, make: Make) -> None:
        with pytest.raises(AuthenticationError, match="Incorrect API key provided"):
            make(api_key="another").check_connection()


class Kept:
    """Answers, and keeps the reply."""

    reply: Reply

    def apply(self, exchange: Exchange) -> None:
        self.reply = exchange.answer()
        exchange.send(self.reply)


@pytest.mark.parametrize(
    "settings",
    [
        {"output_format": "webp", "output_compression": 50, "quality": "medium"},
        {"output_format": "png", "size": "1536x1024", "background": "transparent"},
    ],
)
def test_the_official_client_understands_the_same(
    server: OpenAIServer, make: Make, generate: Generate, settings: dict[str, Any]
) -> None:
    import openai as official  # takes long

    kept = Kept()
    server.fail(kept)
    result = generate(make(**settings))
    assert result.file_path is not None
    ours = server.requests[0]
    server.fail(kept.reply)
    with official.OpenAI(api_key=server.key, base_url=server.base_url, max_retries=0) as client:
        images = client.images.generate(**ours.json())
    [image] = images.data or []
    assert base64.b64decode(image.b64_json or "") == result.file_path.read_bytes()
    assert images.usage is not None
    assert images.usage.model_dump(exclude_none=True) == result.metadata["usage"]
    assert (images.size, images.quality) == (result.metadata["size"], result.metadata["quality"])
    theirs = server.requests[1]
    assert (theirs.path, theirs.json()) == (ours.path, ours.json())
    assert theirs.headers["authorization"] == ours.headers["authorization"]


class TestSeveral:
    PROMPTS = tuple(f"a number {number}" for number in range(8))

    def requests(self, folder: Path) -> list[MediaRequest]:
        return [
            MediaRequest("image", prompt, {}, folder / f"{number}.png")
            for number, prompt in enumerate(self.PROMPTS)
        ]

    def are_right(self, results: list[MediaResult]) -> bool:
        names = [result.file_path.stem if result.file_path else "" for result in results]
        prompts = [result.metadata["prompt"] for result in results]
        return names == [str(number) for number in range(8)] and prompts == list(self.PROMPTS)

    def test_a_batch_keeps_its_order(self, server: OpenAIServer, make: Make, tmp_path: Path) -> None:
        server.latency = 0.01
        assert self.are_right(make(max_concurrent=3).generate_batch(self.requests(tmp_path)))
        assert server.images_made == 8

    def test_what_fails_in_a_batch_fails_alone(
        self, server: OpenAIServer, make: Make, tmp_path: Path
    ) -> None:
        def is_third(received: Received) -> bool:
            return received.body.find(b"a number 3") >= 0

        server.fail(openai.MODERATION_BLOCKED, when=is_third)
        results = make().generate_batch(self.requests(tmp_path))
        assert [number for number, result in enumerate(results) if not result.success] == [3]
        assert isinstance(results[3].failure, ContentPolicyError)

    def test_it_may_be_used_from_several_threads(
        self, server: OpenAIServer, make: Make, tmp_path: Path
    ) -> None:
        provider = make()
        with ThreadPoolExecutor(8) as pool:
            assert self.are_right(list(pool.map(provider.generate_media, self.requests(tmp_path))))
        assert server.images_made == 8

    def test_a_closed_provider_generates_again(self, make: Make, generate: Generate) -> None:
        provider = make()
        assert generate(provider).success
        provider.close()
        provider.close()
        assert generate(provider).success


class Echo:
    """Says back what it was sent, key and all."""

    def __init__(self, status: int, *, as_json: bool) -> None:
        self.status = status
        self.as_json = as_json

    def apply(self, exchange: Exchange) -> None:
        said = f"No such thing: {exchange.received.headers['authorization']}"
        page, error = HtmlPage(said, self.status).reply(), openai.error(self.status, "odd", said)
        exchange.send(error if self.as_json else page)


class TestSecrecy:
    @pytest.fixture(params=["sk-0123456789abcdef", "k/e'y?#%&\"\\$1"])
    def key(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.mark.parametrize(
        "fault",
        [
            None,
            openai.INVALID_API_KEY,
            Echo(200, as_json=True),
            Echo(200, as_json=False),
            Echo(401, as_json=True),
            Echo(404, as_json=True),
            Echo(429, as_json=True),
            Echo(500, as_json=False),
            Dropped(reset=True),
        ],
    )
    def test_the_key_is_nowhere_to_be_read(
        self,
        server: OpenAIServer,
        make: Make,
        generate: Generate,
        key: str,
        fault: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.key = key
        provider = make(max_retries=1)
        if fault is not None:
            server.fail(fault, times=None)
        result = generate(provider)
        assert result.success == (fault is None)
        reported = [repr(provider), str(provider), repr(result), str(result.error), str(result.failure)]
        try:
            provider.check_connection()
        except ProviderError as error:
            reported += [str(error), repr(error), repr(error.args)]
        reported += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
        assert "httpcore" in caplog.text
        for form in (key, repr(key)[1:-1], Reply.of_json(key).body.decode()[1:-1]):
            assert not any(form in text for text in reported)

    def test_nor_in_what_a_registry_reports(self, key: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with configured(api_key=key, width=key) as registry:
            [failure] = registry.failures
        assert key not in f"{failure} {failure!r} {caplog.text}"
