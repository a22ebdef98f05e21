from __future__ import annotations

import base64
import json
import logging
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright import (
    AuthenticationError,
    BadMediaError,
    ContentPolicyError,
    InvalidRequestError,
    MediaRequest,
    MediaResult,
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
    Received,
    Reply,
    RunwareServer,
    Slow,
    Truncated,
    runware,
)
from deckwright.testing.servers.runware import TaskErrors
from deckwright.testing.servers.samples import colour_of, picture
from deckwright_builtins.runware import Runware

Make = Callable[..., Runware]
Generate = Callable[..., MediaResult]

CREDITS = "Add credits to the account."
SETTINGS = "Check `base_url` and `model`."


@pytest.fixture
def server() -> Iterator[RunwareServer]:
    with RunwareServer() as server:
        yield server


@pytest.fixture
def make(server: RunwareServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make providers that ask the server, wait for nothing, and are closed in the end."""
    monkeypatch.setattr("deckwright.toolkit.http.client._DEFAULT_BACKOFF", lambda state: 0.0)
    monkeypatch.setattr("deckwright_builtins.runware.tasks._PAUSES", (0.0,) * 4)
    made: list[Runware] = []

    def make(**settings: Any) -> Runware:
        given = {"api_key": server.key, "base_url": server.base_url, "max_retries": 0, **settings}
        made.append(Runware(given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def generate(tmp_path: Path) -> Generate:
    """Have a picture painted into a file."""

    def generate(provider: Runware, prompt: str = "a red apple", **params: str) -> MediaResult:
        return provider.generate_image(prompt, tmp_path / "picture.png", **params)

    return generate


def requests_for(folder: Path, *prompts: str) -> list[MediaRequest]:
    return [
        MediaRequest("image", prompt, {}, folder / f"{number}.png") for number, prompt in enumerate(prompts)
    ]


def asks_for_pictures(received: Received) -> bool:
    return b'"imageInference"' in received.body


def is_download(received: Received) -> bool:
    return received.method == "GET"


def asks_for_details(received: Received) -> bool:
    return b'"getTaskDetails"' in received.body


NO_SUCH_TASK = TaskErrors("taskNotFound", 404)


def posts(server: RunwareServer) -> list[list[dict[str, Any]]]:
    """Return the tasks of each request for pictures."""
    return [received.json() for received in server.requests if asks_for_pictures(received)]


class TestPicture:
    def test_a_request_is_a_list_of_one_task(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        result = generate(make())
        assert result.success
        received = server.requests[0]
        assert (received.method, received.path) == ("POST", "/v1")
        assert received.headers["authorization"] == "Bearer runware-key"
        [task] = received.json()
        assert task.pop("taskUUID") == result.metadata["task"]
        assert task == {
            "taskType": "imageInference",
            "model": "runware:101@1",
            "positivePrompt": "a red apple",
            "width": 512,
            "height": 512,
            "numberResults": 1,
            "outputType": "URL",
            "outputFormat": "JPG",
            "includeCost": True,
            "deliveryMethod": "sync",
        }

    def test_settings_arrive_under_the_names_of_the_service(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        provider = make(
            model="runware:100@1",
            negative_prompt="text",
            width=1024,
            height=768,
            steps=25,
            guidance_scale=7.5,
            sampler="euler",
            seed=42,
            output_type="base64Data",
            output_format="WEBP",
            style="ink",
        )
        result = generate(provider)
        assert result.success
        [[task]] = posts(server)
        assert (
            task.items()
            >= {
                "model": "runware:100@1",
                "positivePrompt": "a red apple Style: ink",
                "negativePrompt": "text",
                "width": 1024,
                "height": 768,
                "steps": 25,
                "CFGScale": 7.5,
                "scheduler": "euler",
                "seed": 42,
                "outputType": "base64Data",
                "outputFormat": "WEBP",
            }.items()
        )
        assert result.metadata["seed"] == 42

    def test_a_seed_of_zero_is_one(self, server: RunwareServer, make: Make, generate: Generate) -> None:
        assert generate(make(seed=0, guidance_scale=0)).metadata["seed"] == 0
        assert posts(server)[0][0]["CFGScale"] == 0

    @pytest.mark.parametrize("output_type", ["URL", "base64Data", "dataURI"])
    @pytest.mark.parametrize(("format", "ending"), [("JPG", "jpg"), ("PNG", "png"), ("WEBP", "webp")])
    def test_a_picture_may_come_in_three_ways_and_forms(
        self, make: Make, generate: Generate, output_type: str, format: str, ending: str
    ) -> None:
        path = generate(make(output_type=output_type, output_format=format)).file_path
        assert path is not None
        assert path.name == f"picture.{ending}"
        kind = "jpeg" if format == "JPG" else ending
        assert path.read_bytes() == picture(kind, 512, 512, colour_of("a red apple 0"))

    def test_the_picture_is_fetched_without_the_key(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        assert generate(make()).success
        assert [is_download(received) for received in server.requests] == [False, True]
        assert server.downloads_with_key == 0
        assert server.key not in repr(server.requests[1])

    @pytest.mark.parametrize(
        ("settings", "cost"),
        [
            ({"steps": 28}, 0.0019),
            ({"steps": 28, "width": 1024, "height": 1024}, 0.0038),
            ({}, 0.001357),
        ],
    )
    def test_the_cost_is_as_the_service_reports_it(
        self, server: RunwareServer, make: Make, generate: Generate, settings: dict[str, Any], cost: float
    ) -> None:
        metadata = generate(make(**settings, cost_per_image=5)).metadata
        assert metadata["cost"] == pytest.approx(cost, abs=1e-6) == server.spent
        assert metadata["model"] == "runware:101@1"

    @pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
    def test_the_version_may_be_missing_in_the_address(
        self, server: RunwareServer, make: Make, generate: Generate, suffix: str
    ) -> None:
        assert generate(make(base_url=server.url + suffix)).success

    @pytest.mark.parametrize(
        ("written", "base_url"),
        [
            ("https://api.runware.ai", "https://api.runware.ai/v1"),
            ("https://api.runware.ai/v1", "https://api.runware.ai/v1"),
            ("https://proxy.test/runware/v2/", "https://proxy.test/runware/v2"),
        ],
    )
    def test_an_address_with_a_path_stays_as_it_is(self, make: Make, written: str, base_url: str) -> None:
        assert make(base_url=written).base_url == base_url

    @pytest.mark.parametrize(
        "model", ["civitai:102438@133677", "bfl:2@1", "my-vendor:some_model.v2@1-b", "runware:400@1"]
    )
    def test_every_air_id_is_passed_on(
        self, server: RunwareServer, make: Make, generate: Generate, model: str
    ) -> None:
        assert generate(make(model=model)).metadata["model"] == model
        assert posts(server)[0][0]["model"] == model

    def test_a_word_goes_into_the_prompt(self, server: RunwareServer, make: Make, generate: Generate) -> None:
        assert generate(make(prompt="Draw {meaning}."), "perro", language="es", translation="dog").success
        prompt = posts(server)[0][0]["positivePrompt"]
        assert prompt == 'Draw the Spanish word "perro" (in other words: "dog").'

    @pytest.mark.parametrize(
        ("settings", "key"),
        [
            ({"width": 0}, "width"),
            ({"height": -64}, "height"),
            ({"model": ""}, "model"),
            ({"steps": "many"}, "steps"),
            ({"output_type": "url"}, "output_type"),
            ({"output_format": "GIF"}, "output_format"),
            ({"batch_size": 0}, "batch_size"),
            ({"base_url": "api.runware.ai"}, "base_url"),
        ],
    )
    def test_a_setting_that_cannot_be_is_refused(
        self, make: Make, settings: dict[str, Any], key: str
    ) -> None:
        with pytest.raises(SettingError) as caught:
            make(**settings)
        assert caught.value.key == key


class TestTheServiceChecks:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"width": 500},
                "width is out of range. (invalidWidth; width; min 128; max 2048; multiplier 64)",
            ),
            (
                {"height": 4096},
                "height is out of range. (invalidHeight; height; min 128; max 2048; multiplier 64)",
            ),
            ({"steps": 0}, "steps is out of range. (invalidSteps; steps; min 1; max 100)"),
            ({"guidance_scale": 51}, "CFGScale is out of range. (invalidCFGScale; CFGScale; min 0; max 50)"),
            ({"seed": -1}, "seed is out of range. (invalidSeed; seed; min 0; max 9223372036854775807)"),
            ({"model": "flux"}, "model must be source:id@version. (invalidModel; model)"),
        ],
    )
    def test_what_a_model_does_not_take_is_reported_with_its_limits(
        self, server: RunwareServer, make: Make, generate: Generate, settings: dict[str, Any], message: str
    ) -> None:
        result = generate(make(**settings))
        assert type(result.failure) is InvalidRequestError
        assert result.error == message
        assert server.spent == 0

    @pytest.mark.parametrize("prompt", ["x", "x" * 3001])
    def test_so_it_is_with_the_length_of_a_prompt(
        self, server: RunwareServer, make: Make, generate: Generate, prompt: str
    ) -> None:
        result = generate(make(), prompt)
        assert result.error == (
            "positivePrompt must have 2 to 3000 characters. "
            "(invalidPositivePrompt; positivePrompt; min 2; max 3000)"
        )
        assert server.spent == 0


class TestErrors:
    @pytest.mark.parametrize(
        ("fault", "kind", "message", "hint"),
        [
            (
                runware.INVALID_PROMPT,
                InvalidRequestError,
                "invalidPositivePrompt (invalidPositivePrompt; positivePrompt)",
                None,
            ),
            (runware.MISSING_PARAMETER, InvalidRequestError, "missingModel (missingModel; model)", None),
            (
                runware.UNSUPPORTED_PARAMETER,
                InvalidRequestError,
                "unsupportedParameter (unsupportedParameter; steps, CFGScale)",
                None,
            ),
            (
                runware.UNSAFE_CONTENT,
                ContentPolicyError,
                "The content was found to be unsafe. (safetyContentDetected)",
                "Change the prompt, or make this card without a picture.",
            ),
            (
                TaskErrors("invalidApiKey", 401),
                AuthenticationError,
                "invalidApiKey (invalidApiKey)",
                "Check api_key.",
            ),
            (
                TaskErrors("missingApiKey", 200),
                AuthenticationError,
                "missingApiKey (missingApiKey)",
                "Check api_key.",
            ),
            (
                runware.INSUFFICIENT_CREDITS,
                QuotaError,
                "insufficientCredits (insufficientCredits)",
                CREDITS,
            ),
            (
                runware.INSUFFICIENT_CREDITS_200,
                QuotaError,
                "insufficientCredits (insufficientCredits)",
                CREDITS,
            ),
            (
                runware.INSUFFICIENT_CREDITS_402,
                QuotaError,
                "insufficientCredits (insufficientCredits)",
                CREDITS,
            ),
            (
                runware.INSUFFICIENT_BALANCE,
                QuotaError,
                "insufficientBalance (insufficientBalance)",
                CREDITS,
            ),
            (runware.EXCEEDED_QUOTA, QuotaError, "exceededQuota (exceededQuota)", CREDITS),
            (
                runware.FORBIDDEN,
                AuthenticationError,
                "127.0.0.1 answered 403 (Forbidden): forbidden (forbidden)",
                "Check the key, and what it may be used for.",
            ),
            (
                runware.NOT_FOUND,
                InvalidRequestError,
                "127.0.0.1 answered 404 (Not Found): notFound (notFound)",
                SETTINGS,
            ),
            (
                runware.RATE_LIMITED,
                RateLimitedError,
                "exceededRateLimit (exceededRateLimit)",
                None,
            ),
            (
                TaskErrors("queueFull", 429),
                RateLimitedError,
                "127.0.0.1 answered 429 (Too Many Requests): queueFull (queueFull)",
                None,
            ),
            (
                runware.SERVER_ERROR,
                TransientError,
                "127.0.0.1 answered 500 (Internal Server Error): internalError (internalError)",
                None,
            ),
            (
                runware.PROVIDER_ERROR,
                TransientError,
                "The model's provider failed. (providerError)",
                None,
            ),
            (
                runware.UNAVAILABLE,
                TransientError,
                "127.0.0.1 answered 503 (Service Unavailable): serviceUnavailable (serviceUnavailable)",
                None,
            ),
            (runware.TIMEOUT, TransientError, "timeoutProvider (timeoutProvider)", None),
            (TaskErrors("oddity", 200), ProviderError, "oddity (oddity)", None),
            (
                Reply.of_json({"errors": [{}]}),
                ProviderError,
                "no reason given (no code)",
                None,
            ),
            (
                Reply(402),
                QuotaError,
                "127.0.0.1 answered 402 (Payment Required): no reason given",
                "Add money to the account.",
            ),
            (
                HtmlPage("Forbidden", 403),
                AuthenticationError,
                "127.0.0.1 answered 403 (Forbidden): ",
                "Check the key, and what it may be used for.",
            ),
            (HtmlPage("Nothing", 404), InvalidRequestError, "127.0.0.1 answered 404 (Not Found): ", SETTINGS),
            (
                HtmlPage(),
                TransientError,
                "127.0.0.1 sent something that is not JSON: <!DOCTYPE html>",
                None,
            ),
            (Reply.of_json([]), ProviderError, "Runware sent a response in an unknown form.", None),
            (Reply.of_json({}), ProviderError, "Runware's response does not mention this picture.", None),
            (
                Reply.of_json({"data": "none", "errors": "some"}),
                ProviderError,
                "Runware's response does not mention this picture.",
                None,
            ),
            (
                Reply.of_json({"data": [{"taskUUID": "another", "imageURL": "https://im.runware.ai/x"}]}),
                ProviderError,
                "Runware's response does not mention this picture.",
                None,
            ),
        ],
    )
    def test_each_is_distinguished_from_the_others(
        self,
        server: RunwareServer,
        make: Make,
        generate: Generate,
        tmp_path: Path,
        fault: Any,
        kind: type[ProviderError],
        message: str,
        hint: str | None,
    ) -> None:
        server.fail(fault, when=asks_for_pictures)
        result = generate(make())
        assert type(result.failure) is kind
        assert result.error == result.failure.message
        assert result.failure.message.startswith(message)
        assert result.failure.hint == hint
        assert len(posts(server)) == 1
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_balance_is_reported_and_ends_it_for_the_run(
        self, make: Make, generate: Generate
    ) -> None:
        with RunwareServer(balance=0.002) as server:
            provider = make(base_url=server.base_url)
            assert generate(provider).success
            failure = generate(provider).failure
        assert isinstance(failure, QuotaError)
        assert failure.out_for_run
        assert failure.message == "The balance does not cover this task. (insufficientCredits)"

    def test_how_long_to_wait_is_as_the_service_says(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        server.fail(attrs.evolve(runware.RATE_LIMITED, headers={"Retry-After": "7"}))
        failure = generate(make()).failure
        assert isinstance(failure, RateLimitedError)
        assert failure.retry_after == 7

    @pytest.mark.parametrize(
        ("fault", "requests"),
        [
            (attrs.evolve(runware.RATE_LIMITED, headers={"Retry-After": "0"}), 3),
            (attrs.evolve(runware.RATE_LIMITED, headers={"Retry-After": "300"}), 1),
            (runware.SERVER_ERROR, 3),
            (runware.PROVIDER_ERROR, 3),
            (runware.UNAVAILABLE, 3),
            (Reply(408), 3),
            (runware.INVALID_PROMPT, 1),
            (runware.INSUFFICIENT_CREDITS, 1),
            (runware.INVALID_API_KEY, 1),
            (runware.FORBIDDEN, 1),
            (runware.NOT_FOUND, 1),
            (runware.UNSAFE_CONTENT, 1),
        ],
    )
    def test_only_what_may_pass_is_tried_again_as_the_same_task(
        self, server: RunwareServer, make: Make, generate: Generate, fault: Any, requests: int
    ) -> None:
        server.fail(fault, times=None)
        assert not generate(make(max_retries=2)).success
        assert len(posts(server)) == requests
        assert len({task["taskUUID"] for tasks in posts(server) for task in tasks}) == 1

    def test_a_second_try_may_succeed(self, server: RunwareServer, make: Make, generate: Generate) -> None:
        server.fail(runware.SERVER_ERROR)
        server.fail(attrs.evolve(runware.RATE_LIMITED, headers={"Retry-After": "0"}))
        assert generate(make(max_retries=2)).success
        assert list(server.charged.values()) == [1]

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ({"imageBase64Data": "!!!"}, "The picture in the response is not valid base64."),
            ({"imageDataURI": "data:image/png;base64,bm8="}, "the file is text, but a picture was expected"),
            ({}, "the file is empty, but a picture was expected"),
            (
                {"imageURL": "file:///etc/passwd"},
                "The service links to a file: address, which is not allowed.",
            ),
        ],
    )
    def test_what_is_no_picture_is_not_kept(
        self, server: RunwareServer, make: Make, generate: Generate, tmp_path: Path, answer: Any, message: str
    ) -> None:
        server.fail(Told(answer))
        result = generate(make())
        assert type(result.failure) is BadMediaError
        assert result.error == message
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (HtmlPage("Gone", 404), BadMediaError),
            (HtmlPage(), BadMediaError),
            (Reply(503), TransientError),
            (Truncated(), TransientError),
        ],
    )
    def test_a_picture_that_cannot_be_fetched_is_reported(
        self, server: RunwareServer, make: Make, generate: Generate, fault: Any, kind: type[ProviderError]
    ) -> None:
        server.fail(fault, when=is_download, times=None)
        assert type(generate(make()).failure) is kind

    def test_what_could_not_be_fetched_is_paid_for_and_can_be_had_yet(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        [request] = requests_for(tmp_path, "an apple")
        request.id = ID
        server.fail(Reply(503), when=is_download)
        result = make().generate_media(request)
        assert isinstance(result.failure, TransientError)
        assert result.failure.reply_lost
        assert result.failure.message.startswith(
            "The picture was made and charged, but could not be downloaded. "
        )
        assert result.metadata["cost"] == pytest.approx(server.spent)
        request.requested_before = long_ago()
        assert make().generate_media(request).success
        assert server.charged == {ID: 1}

    def test_to_fetch_it_again_costs_nothing(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        server.fail(Truncated(), when=is_download)
        assert generate(make(max_retries=1)).success
        assert len(posts(server)) == 1
        assert list(server.charged.values()) == [1]

    def test_sounds_are_not_delivered(self, server: RunwareServer, make: Make, tmp_path: Path) -> None:
        provider = make()
        alone = provider.generate_audio("hola", tmp_path / "hola.mp3").failure
        [result] = provider.generate_batch([MediaRequest("audio", "hola", {}, tmp_path / "hola.mp3")])
        assert isinstance(alone, InvalidRequestError)
        assert isinstance(result.failure, InvalidRequestError)
        assert server.requests == []

    def test_a_request_without_a_file_is_refused_before_it_costs(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        good, nowhere = *requests_for(tmp_path, "an apple"), MediaRequest("image", "a pear")
        results = make().generate_batch([nowhere, good])
        assert [result.success for result in results] == [False, True]
        assert results[0].error == "The request for 'a pear' has no output_path."
        assert len(server.charged) == 1

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({}, "is required and missing"),
            ({"api_key": ""}, "the given secret is not allowed (it is empty)"),
            ({"api_key": "${RUNWARE_API_KEY}"}, "the environment variable RUNWARE_API_KEY is not set."),
        ],
    )
    def test_without_a_key_it_is_not_made_and_the_reason_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], problem: str
    ) -> None:
        monkeypatch.delenv("RUNWARE_API_KEY", raising=False)
        config = {"providers": {"image": {"runware": {"pipelines": ["*"], **settings}}}}
        with ProviderRegistry.from_config(config) as registry:
            [failure] = registry.failures
            assert registry.get("image", "runware") is None
        assert (failure.where, failure.error) == ("providers.image.runware.api_key", problem)


class Told:
    """Answers each task with these facts, and does nothing."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def apply(self, exchange: Exchange) -> None:
        tasks = exchange.received.json()
        exchange.send(
            Reply.of_json({"data": [{"taskUUID": task["taskUUID"], **self.facts} for task in tasks]})
        )


class Shuffled:
    """Answers in another order."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def apply(self, exchange: Exchange) -> None:
        reported = json.loads(exchange.answer().body)
        random.Random(self.seed).shuffle(reported["data"])
        exchange.send(Reply.of_json(reported))


class PartlyDone:
    """The first task is carried out, the others are not; the client hears of neither."""

    def apply(self, exchange: Exchange) -> None:
        runware.PARTIAL_SUCCESS.reply(exchange)
        exchange.drop()


class Only:
    """Tells the details of no more than so many tasks, and none of those that shared a request with them."""

    def __init__(self, count: int) -> None:
        self.count = count

    def apply(self, exchange: Exchange) -> None:
        data = json.loads(exchange.answer().body)["data"][: self.count]
        for item in data:
            pictures = item["response"]["data"]
            item["response"] = [each for each in pictures if each["taskUUID"] == item["taskUUID"]]
        exchange.send(Reply.of_json({"data": data}))


class Mixed:
    """Reports one code a task, or its picture for None; a time-out is one of a task that was carried out."""

    def __init__(
        self,
        *codes: str | None,
        status: int = 200,
        headers: dict[str, str] | None = None,
        is_named: bool = True,
    ) -> None:
        self.codes = codes
        self.status = status
        self.headers = headers
        self.is_named = is_named

    def apply(self, exchange: Exchange) -> None:
        tasks = exchange.received.json()
        pairs = list(zip(tasks, self.codes, strict=True))
        done = [task for task, code in pairs if code is None or code.startswith("timeout")]
        received = attrs.evolve(exchange.received, body=json.dumps(done).encode())
        pictures = {
            item["taskUUID"]: item for item in json.loads(exchange.server.answer(received).body)["data"]
        }
        data = [pictures[task["taskUUID"]] for task, code in pairs if code is None]
        errors = [
            runware.error(code, task=task if self.is_named else None)
            for task, code in pairs
            if code is not None
        ]
        reported = {"errors": errors, **({"data": data} if data else {})}
        exchange.send(Reply.of_json(reported, self.status, self.headers))


class TestBatches:
    PROMPTS = ("an apple", "a pear", "a plum", "a fig", "a lime")

    def are_right(self, results: list[MediaResult], prompts: tuple[str, ...]) -> bool:
        return all(
            result.file_path is not None
            and result.file_path.stem == str(number)
            and result.file_path.read_bytes() == picture("png", 512, 512, colour_of(f"{prompt} 0"))
            for number, (prompt, result) in enumerate(zip(prompts, results, strict=True))
        )

    @pytest.mark.parametrize(("batch_size", "sizes"), [(10, [5]), (5, [5]), (2, [1, 2, 2]), (1, [1] * 5)])
    def test_many_prompts_share_a_request(
        self, server: RunwareServer, make: Make, tmp_path: Path, batch_size: int, sizes: list[int]
    ) -> None:
        provider = make(batch_size=batch_size, output_format="PNG")
        assert self.are_right(provider.generate_batch(requests_for(tmp_path, *self.PROMPTS)), self.PROMPTS)
        assert sorted(map(len, posts(server))) == sizes
        assert len(server.charged) == 5

    def test_no_prompts_are_no_request(self, server: RunwareServer, make: Make) -> None:
        assert make().generate_batch([]) == []
        assert server.requests == []

    @pytest.mark.parametrize("seed", range(3))
    def test_answers_in_any_order_find_their_requests(
        self, server: RunwareServer, make: Make, tmp_path: Path, seed: int
    ) -> None:
        server.fail(Shuffled(seed))
        results = make(output_format="PNG").generate_batch(requests_for(tmp_path, *self.PROMPTS))
        assert self.are_right(results, self.PROMPTS)

    def test_what_succeeds_in_part_is_kept(self, server: RunwareServer, make: Make, tmp_path: Path) -> None:
        server.fail(runware.PARTIAL_SUCCESS)
        results = make(max_retries=2).generate_batch(requests_for(tmp_path, *self.PROMPTS))
        assert [result.success for result in results] == [True, False, False, False, False]
        assert {type(result.failure) for result in results[1:]} == {InvalidRequestError}
        assert results[1].error == "invalidPositivePrompt (invalidPositivePrompt; positivePrompt)"
        assert len(posts(server)) == 1
        assert list(server.charged.values()) == [1]

    @pytest.mark.parametrize("batch_size", [1, 2, 3])
    def test_each_task_has_its_own_fault(
        self, server: RunwareServer, make: Make, tmp_path: Path, batch_size: int
    ) -> None:
        requests = requests_for(tmp_path, "an apple", "x", "a pear")
        results = make(batch_size=batch_size).generate_batch(requests)
        assert [result.success for result in results] == [True, False, True]
        assert results[1].error is not None
        assert results[1].error.startswith("positivePrompt must have 2 to 3000 characters.")

    def test_when_all_tasks_are_at_fault_each_is_reported(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        results = make().generate_batch(requests_for(tmp_path, "x", "y" * 3001))
        assert {type(result.failure) for result in results} == {InvalidRequestError}

    def test_money_may_end_within_a_batch(self, make: Make, tmp_path: Path) -> None:
        with RunwareServer(balance=0.003) as server:
            results = make(base_url=server.base_url).generate_batch(requests_for(tmp_path, *self.PROMPTS))
        assert [result.success for result in results] == [True, True, False, False, False]
        assert {type(result.failure) for result in results[2:]} == {QuotaError}

    def test_what_fails_as_a_whole_fails_for_each(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        server.fail(runware.UNAVAILABLE, times=None)
        results = make().generate_batch(requests_for(tmp_path, *self.PROMPTS))
        assert [type(result.failure) for result in results] == [TransientError] * 5

    def test_a_folder_that_cannot_be_written_is_no_matter_of_the_others(
        self, make: Make, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        good, bad = requests_for(tmp_path, "an apple", "a pear")
        bad.output_path = tmp_path / "file" / "picture.png"
        results = make(output_type="base64Data").generate_batch([bad, good])
        assert [result.success for result in results] == [False, True]
        assert (results[0].error or "").startswith("The picture cannot be written (")
        assert results[0].metadata["cost"] == results[1].metadata["cost"]

    def test_it_may_be_used_from_several_threads(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        provider = make(output_format="PNG")
        with ThreadPoolExecutor(5) as pool:
            requests = requests_for(tmp_path, *self.PROMPTS)
            assert self.are_right(list(pool.map(provider.generate_media, requests)), self.PROMPTS)
        assert set(server.charged.values()) == {1}

    def test_a_closed_provider_generates_again(self, make: Make, generate: Generate) -> None:
        provider = make()
        assert generate(provider).success
        provider.close()
        provider.close()
        assert generate(provider).success


class TestLostReplies:
    @pytest.mark.parametrize(
        "fault",
        [
            runware.LOST_REPLY,
            runware.LOST_REPLY_504,
            LostReply(Dropped(reset=True)),
            LostReply(HtmlPage("Gateway time-out", 504)),
            LostReply(HtmlPage("Bad gateway", 502)),
            LostReply(HtmlPage("Welcome to this hotel")),
            LostReply(Slow(60)),
            Truncated(),
        ],
    )
    @pytest.mark.parametrize("max_retries", [0, 2])
    @pytest.mark.parametrize("output_type", ["URL", "base64Data"])
    def test_what_was_paid_for_is_requested_and_not_paid_again(
        self,
        server: RunwareServer,
        make: Make,
        generate: Generate,
        fault: Any,
        max_retries: int,
        output_type: str,
    ) -> None:
        server.fail(fault, when=asks_for_pictures)
        timeout = 0.5 if fault == LostReply(Slow(60)) else 30
        provider = make(max_retries=max_retries, timeout=timeout, output_type=output_type)
        result = generate(provider)
        assert result.success, result.error
        assert result.metadata["cost"] == pytest.approx(server.spent)
        assert len(posts(server)) == 1
        assert list(server.charged.values()) == [1]
        [asked] = server.requests[1].json()
        assert asked == {"taskType": "getTaskDetails", "taskUUID": result.metadata["task"]}

    def test_a_whole_batch_is_recovered(self, server: RunwareServer, make: Make, tmp_path: Path) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        prompts = TestBatches.PROMPTS
        results = make(output_format="PNG").generate_batch(requests_for(tmp_path, *prompts))
        assert TestBatches().are_right(results, prompts)
        assert list(server.charged.values()) == [1] * 5
        assert len(posts(server)) == 1

    def test_what_was_lost_before_it_was_done_is_sent_again(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        server.fail(Dropped(), when=asks_for_pictures)
        assert generate(make(max_retries=1)).success
        first, second = posts(server)
        assert first == second
        assert list(server.charged.values()) == [1]

    def test_without_another_try_it_is_reported(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        server.fail(Dropped(), when=asks_for_pictures)
        failure = generate(make()).failure
        assert isinstance(failure, TransientError)
        assert failure.message.startswith("The connection to 127.0.0.1 was lost (")
        assert len(posts(server)) == 1
        assert not server.charged

    @pytest.mark.parametrize(("max_retries", "succeed"), [(0, [True, False, False]), (1, [True] * 3)])
    def test_of_what_was_done_in_part_only_the_rest_is_sent_again(
        self, server: RunwareServer, make: Make, tmp_path: Path, max_retries: int, succeed: list[bool]
    ) -> None:
        server.fail(PartlyDone(), when=asks_for_pictures)
        results = make(max_retries=max_retries).generate_batch(
            requests_for(tmp_path, "an apple", "a pear", "a plum")
        )
        assert [result.success for result in results] == succeed
        assert [len(tasks) for tasks in posts(server)] == [3, 2][: 1 + max_retries]
        assert set(server.charged.values()) == {1}

    @pytest.mark.parametrize("fault", [Dropped(), Reply(500), HtmlPage(), runware.UNAVAILABLE])
    def test_what_cannot_be_requested_is_not_risked_again(
        self, server: RunwareServer, make: Make, generate: Generate, fault: Any
    ) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        server.fail(fault, times=None, when=lambda received: not asks_for_pictures(received))
        failure = generate(make(max_retries=1, timeout=0.5)).failure
        assert isinstance(failure, TransientError)
        assert failure.reply_lost
        assert "it may have been charged" in failure.message
        assert len(posts(server)) == 1
        assert list(server.charged.values()) == [1]

    @pytest.mark.parametrize("max_retries", [0, 2])
    def test_what_is_still_under_way_is_waited_for(
        self, server: RunwareServer, make: Make, generate: Generate, max_retries: int
    ) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        server.fail(Reply.of_json({"data": []}), times=9, when=asks_for_details)
        assert generate(make(max_retries=max_retries)).success
        assert len(posts(server)) == 1
        assert list(server.charged.values()) == [1]

    @pytest.mark.parametrize("times", [1, 4])
    def test_a_task_may_be_registered_late(
        self, server: RunwareServer, make: Make, generate: Generate, times: int
    ) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        server.fail(NO_SUCH_TASK, times=times, when=asks_for_details)
        assert generate(make(max_retries=2)).success
        assert len(posts(server)) == 1
        assert list(server.charged.values()) == [1]

    @pytest.mark.parametrize(
        "answer",
        [
            Reply.of_json({"data": []}),
            TaskErrors("timeoutProvider", 504),
            TaskErrors("exceededRateLimit", 200),
        ],
    )
    def test_what_is_never_reported_is_not_sent_again(
        self, server: RunwareServer, make: Make, generate: Generate, answer: Any
    ) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        server.fail(answer, times=None, when=asks_for_details)
        failure = generate(make(max_retries=2, timeout=0.2)).failure
        assert isinstance(failure, TransientError)
        assert failure.reply_lost
        assert failure.message.startswith(
            "It is not known whether this picture was made; it may have been charged."
        )
        assert len(posts(server)) == 1

    @pytest.mark.parametrize(("pause", "sent"), [(0.04, 2), (0.15, 1)])
    def test_when_time_is_short_a_few_denials_are_needed(
        self,
        server: RunwareServer,
        make: Make,
        generate: Generate,
        monkeypatch: pytest.MonkeyPatch,
        pause: float,
        sent: int,
    ) -> None:
        provider = make(max_retries=1, timeout=0.2)
        monkeypatch.setattr("deckwright_builtins.runware.tasks._PAUSES", (pause,) * 99)
        server.fail(Dropped(), when=asks_for_pictures)
        assert generate(provider).success == (sent == 2)
        assert len(posts(server)) == sent

    def test_what_one_question_recovers_is_kept(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        server.fail(Only(1), when=asks_for_details)
        server.fail(runware.INVALID_API_KEY, when=asks_for_details)
        results = make(max_retries=1).generate_batch(requests_for(tmp_path, "an apple", "a pear", "a plum"))
        assert sorted(result.success for result in results) == [False, False, True]
        failures = [result.failure for result in results if result.failure]
        assert all(isinstance(failure, TransientError) and failure.reply_lost for failure in failures)
        assert {failure.hint for failure in failures} == {"Check api_key."}
        asked = [received.json() for received in server.requests if asks_for_details(received)]
        assert [len(tasks) for tasks in asked] == [3, 2]
        assert len(posts(server)) == 1

    def test_a_fault_that_the_service_remembers_is_reported(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        results = make(max_retries=1).generate_batch(requests_for(tmp_path, "an apple", "x"))
        assert [type(result.failure) for result in results] == [type(None), InvalidRequestError]
        assert len(posts(server)) == 1

    def test_closing_ends_the_wait(
        self, server: RunwareServer, make: Make, generate: Generate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider = make(max_retries=1)
        monkeypatch.setattr("deckwright_builtins.runware.tasks._PAUSES", (60.0,))
        asked = threading.Event()

        def notes(received: Received) -> bool:
            asked.set()
            return asks_for_details(received)

        server.fail(runware.LOST_REPLY, when=asks_for_pictures)
        server.fail(Reply.of_json({"data": []}), times=None, when=notes)
        with ThreadPoolExecutor(1) as pool:
            painted = pool.submit(generate, provider)
            assert asked.wait(10)
            provider.close()
            failure = painted.result(10).failure
        assert isinstance(failure, TransientError)
        assert "it may have been charged" in failure.message
        assert len(posts(server)) == 1

    def test_a_server_that_is_not_there_was_not_paid(self, make: Make, generate: Generate) -> None:
        with RunwareServer() as gone:
            provider = make(base_url=gone.base_url)
        failure = generate(provider).failure
        assert isinstance(failure, TransientError)
        assert not failure.reply_lost
        assert failure.message.startswith("127.0.0.1 cannot be reached (")


ID = "6f0c4d0e-3f0b-4c52-9d0a-0e8a4b7f2c11"


def now() -> datetime:
    return datetime.now(timezone.utc)


def long_ago() -> datetime:
    return now() - timedelta(hours=2)


def just_now() -> datetime:
    """Return a time that is less than the (short) pauses of these tests ago: in the future, by a clock set back."""
    return now() + timedelta(minutes=1)


def questions(server: RunwareServer) -> list[list[str]]:
    """Return the UUIDs of each request for details."""
    return [
        [task["taskUUID"] for task in received.json()]
        for received in server.requests
        if asks_for_details(received)
    ]


class TestAskedBefore:
    """A build was killed while it waited; the next one makes the same request."""

    @pytest.fixture
    def ask(self, tmp_path: Path) -> Callable[..., MediaResult]:
        def ask(
            provider: Runware,
            requested_before: datetime | None = None,
            id: str = ID,
            prompt: str = "a red apple",
        ) -> MediaResult:
            target = tmp_path / "picture.png"
            return provider.generate_media(
                MediaRequest("image", prompt, {}, target, id=id, requested_before=requested_before)
            )

        return ask

    def test_a_request_is_known_by_its_id(self, server: RunwareServer, make: Make, ask: Generate) -> None:
        assert ask(make()).metadata["task"] == ID
        assert ask(make(), id=ID.upper()).metadata["task"] == ID
        assert list(server.charged) == [ID]
        assert questions(server) == []

    @pytest.mark.parametrize("id", ["request 7", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"])
    def test_an_id_that_runware_would_not_take_stands_for_one(
        self, server: RunwareServer, make: Make, ask: Generate, id: str
    ) -> None:
        first = ask(make(), id=id)
        assert first.success
        again = ask(make(), long_ago(), id=id)
        assert again.metadata == first.metadata
        assert list(server.charged.values()) == [1]

    @pytest.mark.parametrize("when", [long_ago, just_now, lambda: datetime.now() - timedelta(hours=2)])
    @pytest.mark.parametrize("output_type", ["URL", "base64Data"])
    def test_what_was_generated_is_fetched(
        self,
        server: RunwareServer,
        make: Make,
        ask: Generate,
        when: Callable[[], datetime],
        output_type: str,
    ) -> None:
        first = ask(make(output_type=output_type))
        again = ask(make(), when())
        assert again.success, again.error
        assert again.metadata == first.metadata
        assert again.metadata["cost"] == pytest.approx(server.spent)
        assert len(posts(server)) == 1
        assert questions(server) == [[ID]]
        assert list(server.charged.values()) == [1]

    def test_what_never_arrived_is_sent_under_the_same_uuid(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        assert ask(make(), long_ago()).success
        assert questions(server) == [[ID]]
        assert server.charged == {ID: 1}

    def test_what_was_sent_a_moment_ago_may_be_registered_late(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        assert ask(make()).success
        server.fail(NO_SUCH_TASK, times=4, when=asks_for_details)
        assert ask(make(), just_now()).success
        assert len(questions(server)) == 5
        assert server.charged == {ID: 1}

    def test_when_that_is_denied_to_the_end_it_is_sent(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        assert ask(make(), just_now()).success
        assert len(questions(server)) == 5
        assert server.charged == {ID: 1}

    def test_what_is_under_way_is_waited_for(self, server: RunwareServer, make: Make, ask: Generate) -> None:
        assert ask(make()).success
        server.fail(Reply.of_json({"data": []}), times=9, when=asks_for_details)
        assert ask(make(timeout=3 * 3600), long_ago()).success
        assert server.charged == {ID: 1}

    def test_when_its_time_is_long_over_it_is_asked_about_once(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        server.fail(Reply.of_json({"data": []}), times=None, when=asks_for_details)
        failure = ask(make(), long_ago()).failure
        assert isinstance(failure, TransientError)
        assert failure.reply_lost
        assert failure.message == (
            "It is not known whether this picture was made; it may have been charged. It was requested before."
        )
        assert (len(questions(server)), posts(server)) == (1, [])

    @pytest.mark.parametrize("when", [long_ago, just_now])
    @pytest.mark.parametrize(
        ("fault", "hint"),
        [
            (Dropped(), None),
            (Reply(503), None),
            (attrs.evolve(runware.RATE_LIMITED, headers={"Retry-After": "300"}), None),
            (runware.INVALID_API_KEY, "Check api_key."),
            (Reply(401), "Check the key, and what it may be used for."),
        ],
    )
    def test_when_it_cannot_be_asked_about_nothing_is_risked(
        self,
        server: RunwareServer,
        make: Make,
        ask: Generate,
        when: Callable[[], datetime],
        fault: Any,
        hint: str | None,
    ) -> None:
        server.fail(fault, times=None, when=asks_for_details)
        failure = ask(make(max_retries=1), when()).failure
        assert isinstance(failure, TransientError)
        assert failure.reply_lost
        assert failure.hint == hint
        assert posts(server) == []

    def test_what_there_was_no_money_for_is_sent_again(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        server.balance = 0
        assert isinstance(ask(make()).failure, QuotaError)
        assert isinstance(ask(make(), long_ago()).failure, QuotaError)
        server.balance = 1
        assert ask(make(), long_ago()).success
        assert server.charged == {ID: 1}

    def test_what_cannot_be_generated_is_reported_and_not_sent_again(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        assert not ask(make(), prompt="x").success
        assert type(ask(make(), long_ago(), prompt="x").failure) is InvalidRequestError
        assert len(posts(server)) == 1

    def test_without_an_id_there_is_nothing_to_ask_about(
        self, server: RunwareServer, make: Make, ask: Generate
    ) -> None:
        assert ask(make(), long_ago(), id="").success
        assert questions(server) == []

    @pytest.mark.parametrize(
        "gone", [None, Reply(403), Reply.of_json({"errors": [{"code": "notFound"}]}, 404)]
    )
    def test_a_link_that_has_expired_is_reported(
        self, server: RunwareServer, make: Make, ask: Generate, gone: Reply | None
    ) -> None:
        cost = ask(make()).metadata["cost"]
        server.images.clear()
        if gone is not None:
            server.fail(gone, times=None, when=is_download)
        result = ask(make(max_retries=2), long_ago())
        assert type(result.failure) is BadMediaError
        assert result.failure.message.startswith(
            "The picture was made and charged, but Runware does not have it any more. 127.0.0.1 "
        )
        assert result.metadata["cost"] == cost
        assert server.charged == {ID: 1}

    def test_each_of_a_batch_fares_in_its_own_way(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        requests = requests_for(tmp_path, *TestBatches.PROMPTS)
        done, expired, never, fresh, _ = requests
        for request in (done, expired, never, fresh):
            request.id = str(uuid.uuid4())
        provider = make()
        assert provider.generate_media(expired).success
        server.images.clear()
        assert provider.generate_media(done).success
        for request in (done, expired, never):
            request.requested_before = long_ago()
        results = provider.generate_batch(requests)
        assert [result.success for result in results] == [True, False, True, True, True]
        assert questions(server) == [sorted(request.id for request in (done, expired, never))]
        assert [len(tasks) for tasks in posts(server)] == [1, 1, 3]
        assert len(server.charged) == 5
        assert set(server.charged.values()) == {1}

    def test_it_is_paid_once_though_the_program_was_killed(
        self, server: RunwareServer, make: Make, ask: Generate, tmp_path: Path
    ) -> None:
        server.fail(LostReply(Slow(60)), when=asks_for_pictures)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from deckwright import MediaRequest\n"
            "from deckwright_builtins.runware import Runware\n"
            f"provider = Runware({{'api_key': {server.key!r}, 'base_url': {server.base_url!r}}})\n"
            f"request = MediaRequest('image', 'a red apple', {{}}, {str(tmp_path / 'a.png')!r}, id={ID!r})\n"
            "provider.generate_media(request)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code]) as program:
            end = time.monotonic() + 30
            while not server.charged and time.monotonic() < end:
                time.sleep(0.01)
            program.kill()
        assert server.charged == {ID: 1}
        result = ask(make(), now())
        assert result.success, result.error
        assert server.charged == {ID: 1}
        assert len(posts(server)) == 1


class TestSomeTasksFail:
    """One reply, in which each task fares in its own way."""

    @pytest.mark.parametrize("status", [200, 504])
    def test_one_that_timed_out_is_requested(
        self, server: RunwareServer, make: Make, tmp_path: Path, status: int
    ) -> None:
        server.fail(Mixed(None, "timeoutProvider", status=status), when=asks_for_pictures)
        results = make(max_retries=2).generate_batch(requests_for(tmp_path, "an apple", "a pear"))
        assert [result.success for result in results] == [True, True]
        assert len(posts(server)) == 1
        assert set(server.charged.values()) == {1}

    @pytest.mark.parametrize(
        "codes", [("exceededRateLimit", "timeoutProvider"), ("providerError", "timeout")]
    )
    def test_one_that_may_pass_is_sent_again_alone(
        self, server: RunwareServer, make: Make, tmp_path: Path, codes: tuple[str, str]
    ) -> None:
        server.fail(Mixed(*codes), when=asks_for_pictures)
        results = make(max_retries=1).generate_batch(requests_for(tmp_path, "an apple", "a pear"))
        assert [result.success for result in results] == [True, True]
        first, second = posts(server)
        assert second == first[:1]
        assert sorted(server.charged.values()) == [1, 1]

    def test_a_gateway_may_have_lost_what_came_of_a_model(
        self, server: RunwareServer, make: Make, generate: Generate
    ) -> None:
        server.fail(LostReply(TaskErrors("providerError", 502)), when=asks_for_pictures)
        assert generate(make(max_retries=1)).success
        assert list(server.charged.values()) == [1]

    def test_what_is_said_of_no_task_is_about_the_others(
        self, server: RunwareServer, make: Make, tmp_path: Path
    ) -> None:
        server.fail(Mixed(None, "insufficientCredits", is_named=False), when=asks_for_pictures)
        results = make().generate_batch(requests_for(tmp_path, "an apple", "a pear"))
        assert [type(result.failure) for result in results] == [type(None), QuotaError]

    @pytest.mark.parametrize("max_retries", [0, 2])
    def test_it_is_tried_again_so_many_times(
        self, server: RunwareServer, make: Make, tmp_path: Path, max_retries: int
    ) -> None:
        server.fail(Mixed(None, "exceededRateLimit"), when=asks_for_pictures)
        server.fail(TaskErrors("providerError", 200), times=None, when=asks_for_pictures)
        results = make(max_retries=max_retries).generate_batch(requests_for(tmp_path, "an apple", "a pear"))
        assert [result.success for result in results] == [True, False]
        assert [len(tasks) for tasks in posts(server)] == [2, 1, 1][: 1 + max_retries]

    @pytest.mark.parametrize("code", ["exceededRateLimit", "providerError"])
    @pytest.mark.parametrize(("seconds", "sent"), [("0.3", 2), ("300", 1)])
    def test_how_long_to_wait_is_as_the_reply_says(
        self, server: RunwareServer, make: Make, tmp_path: Path, code: str, seconds: str, sent: int
    ) -> None:
        server.fail(Mixed(None, code, headers={"Retry-After": seconds}), when=asks_for_pictures)
        results = make(max_retries=1).generate_batch(requests_for(tmp_path, "an apple", "a pear"))
        assert results[0].success
        painted = [received.at for received in server.requests if asks_for_pictures(received)]
        assert len(painted) == sent
        if sent == 2:
            assert results[1].success
            assert painted[1] - painted[0] >= 0.3
        else:
            assert isinstance(results[1].failure, RateLimitedError)
            assert results[1].failure.retry_after == 300


class TestMoney:
    @pytest.mark.parametrize("cost", ["much", "0.002", None, True, [], float("nan"), float("inf"), 10**400])
    def test_what_is_no_price_is_none(
        self, server: RunwareServer, make: Make, generate: Generate, cost: object
    ) -> None:
        image = base64.b64encode(picture("png", 16, 16, (1, 2, 3))).decode()
        server.fail(Told({"imageBase64Data": image, "cost": cost}), times=2)
        assert generate(make()).metadata["cost"] is None
        with pytest.raises(ProviderError):
            make().fetch_cost_estimate([])

    @pytest.mark.parametrize("key", ["imageURL", "imageBase64Data", "imageDataURI"])
    def test_a_dry_run_that_generates_is_reported(self, server: RunwareServer, make: Make, key: str) -> None:
        server.fail(Told({"cost": 0.002, key: "something"}))
        with pytest.raises(ProviderError) as caught:
            make().fetch_cost_estimate([MediaRequest("image", "an apple")])
        assert caught.value.message == ("Runware ignored the dry run: a picture may have been charged.")

    @pytest.mark.parametrize(
        ("settings", "each"),
        [
            ({}, 0.0019 * 20 / 28),
            ({"steps": 28}, 0.0019),
            ({"steps": 28, "width": 1024, "height": 1024}, 0.0038),
            ({"cost_per_image": 0.01}, 0.01),
            ({"cost_per_image": 0}, 0.0),
        ],
    )
    def test_an_estimate_asks_nobody(
        self, server: RunwareServer, make: Make, settings: dict[str, Any], each: float
    ) -> None:
        found = make(**settings).get_cost_estimate([MediaRequest("image", word) for word in ("one", "two")])
        assert found == pytest.approx({"total_cost": 2 * each, "per_request": each, "requests_count": 2})
        assert server.requests == []

    @pytest.mark.parametrize("count", [0, 1, 100])
    def test_the_service_may_be_requested_its_price_and_charges_nothing(
        self, server: RunwareServer, make: Make, tmp_path: Path, count: int
    ) -> None:
        provider = make(steps=28, width=1024, height=1024, cost_per_image=5)
        found = provider.fetch_cost_estimate([MediaRequest("image", "an apple")] * count)
        assert found == pytest.approx(
            {"total_cost": count * 0.0038, "per_request": 0.0038, "requests_count": count}
        )
        [received] = server.requests
        assert received.headers["x-runware-dry-run"] == "1"
        assert (server.spent, server.charged, server.images) == (0, {}, {})
        assert provider.generate_image("an apple", tmp_path / "apple.jpg").success
        assert "x-runware-dry-run" not in server.requests[1].headers

    @pytest.mark.parametrize(
        ("fault", "kind", "message"),
        [
            (runware.INVALID_PROMPT, InvalidRequestError, "invalidPositivePrompt "),
            (runware.INVALID_API_KEY, AuthenticationError, "invalidApiKey "),
            (Told({}), ProviderError, "Runware does not report the price."),
            (Told({"cost": None}), ProviderError, "Runware does not report the price."),
            (Dropped(), TransientError, "The connection to 127.0.0.1 was lost "),
        ],
    )
    def test_when_it_does_not_report_one_that_is_raised(
        self, server: RunwareServer, make: Make, fault: Any, kind: type[ProviderError], message: str
    ) -> None:
        server.fail(fault)
        with pytest.raises(ProviderError) as caught:
            make().fetch_cost_estimate([MediaRequest("image", "an apple")])
        assert type(caught.value) is kind
        assert caught.value.message.startswith(message)


class TestCheckConnection:
    def test_it_shows_the_balance_and_costs_nothing(self, server: RunwareServer, make: Make) -> None:
        server.balance = 12.5
        assert make().check_connection() == "the key is accepted; the balance is 12.5 USD"
        [[task]] = [received.json() for received in server.requests]
        assert (task["taskType"], task["operation"]) == ("accountManagement", "getDetails")
        assert server.spent == 0

    @pytest.mark.parametrize(
        ("facts", "found"),
        [
            ({}, "the key is accepted"),
            ({"balance": {"amount": 3}}, "the key is accepted; the balance is 3"),
        ],
    )
    def test_it_takes_what_it_is_given(
        self, server: RunwareServer, make: Make, facts: dict[str, Any], found: str
    ) -> None:
        server.fail(Told(facts))
        assert make().check_connection() == found

    @pytest.mark.parametrize(
        ("settings", "kind", "message"),
        [
            ({"api_key": "another"}, AuthenticationError, "invalidApiKey (invalidApiKey)"),
            ({"base_url": "http://127.0.0.1:9"}, TransientError, "127.0.0.1 cannot be reached ("),
        ],
    )
    def test_what_keeps_it_from_working_is_raised(
        self, make: Make, settings: dict[str, Any], kind: type[ProviderError], message: str
    ) -> None:
        with pytest.raises(kind) as caught:
            make(**settings).check_connection()
        assert caught.value.message.startswith(message)

    def test_a_wrong_path_is_reported(self, server: RunwareServer, make: Make) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            make(base_url=f"{server.url}/v2").check_connection()
        assert caught.value.message == (
            "127.0.0.1 answered 404 (Not Found): There is nothing at /v2. (notFound)"
        )
        assert caught.value.hint == SETTINGS


class Echo:
    """Says back what it was sent, key and all: of the request, or of its tasks."""

    def __init__(self, status: int, *, of_tasks: bool) -> None:
        self.status = status
        self.of_tasks = of_tasks

    def apply(self, exchange: Exchange) -> None:
        said = f"No such thing: {exchange.received.headers.get('authorization')}"
        page = HtmlPage(said, self.status)
        fault = TaskErrors("oddity", self.status, said, said) if self.of_tasks else page
        fault.apply(exchange)


class TestSecrecy:
    @pytest.fixture(params=["0123456789abcdef", "k/e'y?#%&\"\\$1"])
    def key(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.mark.parametrize(
        "fault",
        [
            None,
            runware.INVALID_API_KEY,
            *(Echo(status, of_tasks=True) for status in (200, 400, 403, 429, 500)),
            *(Echo(status, of_tasks=False) for status in (200, 403, 500, 504)),
            Dropped(reset=True),
        ],
    )
    def test_the_key_is_nowhere_to_be_read(
        self,
        server: RunwareServer,
        make: Make,
        tmp_path: Path,
        key: str,
        fault: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.key = key
        provider = make()
        if fault is not None:
            server.fail(fault, times=None)
        requests = requests_for(tmp_path, "an apple", "a pear")
        results = [provider.generate_media(requests[0]), *provider.generate_batch(requests)]
        assert {result.success for result in results} == {fault is None}
        reported = [repr(provider), str(provider), repr(results)]
        reported += [f"{result.error} {result.failure}" for result in results]
        for ask in (provider.check_connection, lambda: provider.fetch_cost_estimate(requests)):
            try:
                ask()
            except ProviderError as error:
                reported += [str(error), repr(error), repr(error.args)]
        reported += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
        assert "httpcore" in caplog.text
        for form in (key, repr(key)[1:-1], Reply.of_json(key).body.decode()[1:-1]):
            assert not any(form in text for text in reported)


def test_pictures_may_come_as_data(server: RunwareServer, make: Make, generate: Generate) -> None:
    image = picture("png", 16, 16, (1, 2, 3))
    encoded = base64.b64encode(image).decode()
    for facts in ({"imageBase64Data": encoded}, {"imageDataURI": f"data:image/png;base64,{encoded}"}):
        server.fail(Told(facts))
        path = generate(make()).file_path
        assert path is not None
        assert (path.suffix, path.read_bytes()) == (".png", image)
