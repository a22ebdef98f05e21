"""The contracts of providers of sounds and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deckwright.errors import BadMediaError, ProviderError
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.secrets import redact, secret_values
from deckwright.testing.contracts.assertions import UNKNOWN, fail, must_not_raise, require
from deckwright.testing.contracts.provider import ProviderContract, connection_result
from deckwright.toolkit.media_format import media_ending

_THREADS = 8
_ESTIMATED = ("total_cost", "per_request", "requests_count")
# Words with their languages.
_UNUSUAL = {
    "without linguistic content": ("hola", "zxx"),
    "without a language": ("hola", ""),
    "very long": ("palabra" * 150, "es"),
    "with markup": ("<b>&\"'</b>", "es"),
    "symbols": ("\U0001f600 ?/%s\\ {x}", "es"),
}


class _MediaContract(ProviderContract):
    words: ClassVar[Sequence[tuple[str, str]]] = (("house", "en"),)
    _ending: ClassVar[str]

    def test_every_word_gives_a_file(self, timed_provider: Any, tmp_path: Path) -> None:
        """Each of `words` gives a file of the right format, at the requested path or elsewhere."""
        for number, (word, language) in enumerate(self.words):
            self._generate(timed_provider, self._request(tmp_path / f"word-{number}", word, language))

    def test_same_request_gives_same_format(self, timed_provider: Any, tmp_path: Path) -> None:
        """A second request for the same word gives a file of the same format."""
        word, language = self.words[0]
        formats = {
            media_ending(
                self._generate(timed_provider, self._request(tmp_path / attempt, word, language)), self.type
            )
            for attempt in ("first", "second")
        }
        require(
            len(formats) == 1,
            f"Two requests for {word!r} give files of different formats: {sorted(formats)}.",
        )

    def test_wrong_type_gives_a_failed_result(self, timed_provider: Any, tmp_path: Path) -> None:
        """A request for a type that it does not deliver gives a failed result; nothing is raised."""
        request = MediaRequest(UNKNOWN, "hola", {"language": "es"}, tmp_path / "word")
        result = self._result(timed_provider, request)
        require(
            not result.success,
            f"{self._label} accepts a request of type {UNKNOWN!r}. Check the request's type, as validate_request does.",
        )

    @pytest.mark.parametrize("unusual", _UNUSUAL)
    def test_unusual_words_give_a_result(self, timed_provider: Any, tmp_path: Path, unusual: str) -> None:
        """Unusual words give a success or a failure; nothing is raised."""
        word, language = _UNUSUAL[unusual]
        self._result(timed_provider, self._request(tmp_path / "word", word, language))

    def test_missing_folder_gives_a_result(self, timed_provider: Any, tmp_path: Path) -> None:
        """A request for a file in a folder that does not exist gives a result; nothing is raised."""
        word, language = self.words[0]
        self._result(timed_provider, self._request(tmp_path / "no" / "folder" / "word", word, language))

    def test_batch_results_are_in_order(self, timed_provider: Any, tmp_path: Path) -> None:
        """`generate_batch` returns one result for each request, in the same order."""
        requests = self._several(tmp_path, 3)
        wrong = MediaRequest(UNKNOWN, "hola", {}, tmp_path / "wrong")
        batch = [requests[0], wrong, *requests[1:]]
        with must_not_raise("generate_batch"):
            results = timed_provider.generate_batch(batch)
            none = timed_provider.generate_batch([])
        require(
            len(results) == len(batch) and len(none) == 0,
            f"generate_batch returned {len(results)} results for {len(batch)} requests, and {len(none)} for none. "
            "Return one result for each request.",
        )
        for request, result in zip(batch, results, strict=True):
            if request is wrong:
                require(
                    not result.success, "generate_batch returned a success for a request of the wrong type."
                )
            else:
                self._require_made(request, result)

    def test_threads_get_their_own_results(self, timed_provider: Any, tmp_path: Path) -> None:
        """Used from several threads at once, it gives each its own result."""
        requests = self._several(tmp_path, _THREADS)
        with must_not_raise("generate_media in several threads"), ThreadPoolExecutor(_THREADS) as pool:
            results = list(pool.map(timed_provider.generate_media, requests))
        contents = [
            self._require_made(request, result).read_bytes()
            for request, result in zip(requests, results, strict=True)
        ]
        # The result for each word without threads, to find results that are mixed up.
        alone = {
            pair: self._generate(
                timed_provider, self._request(tmp_path / f"alone-{number}", *pair)
            ).read_bytes()
            for number, pair in enumerate(dict.fromkeys(self.words))
        }
        for request, content in zip(requests, contents, strict=True):
            own = alone[request.content, request.params["language"]]
            others = [pair[0] for pair in alone if alone[pair] == content != own]
            require(
                not others,
                f"In several threads, {self._label} made {others} instead of {request.content!r}. Keep what belongs to "
                "one request in local variables, not in the provider; or use a lock.",
            )

    def test_at_once_is_a_positive_number(self, timed_provider: Any) -> None:
        """`at_once`, how many requests a build may send at once, is a whole number of at least 1."""
        with must_not_raise("at_once"):
            at_once = timed_provider.at_once
        require(
            isinstance(at_once, int) and not isinstance(at_once, bool) and at_once >= 1,
            f"at_once of {self._label} is {at_once!r}. It must be a whole number of at least 1.",
        )

    def test_cache_key_identifies_the_request(self, timed_provider: Any, tmp_path: Path) -> None:
        """`cache_key` is valid JSON, the same for equal requests, and different for another word."""
        word, language = self.words[0]
        first = self._key(timed_provider, self._request(tmp_path / "word", word, language))
        again = self._key(timed_provider, self._request(tmp_path / "elsewhere" / "word", word, language))
        other = self._key(timed_provider, self._request(tmp_path / "word", f"{word} {word}", language))
        require(
            first == again,
            f"cache_key of {self._label} differs for two equal requests, so each build would make and pay for "
            "everything again. It must not contain the output path, the time or the like.",
        )
        require(
            first != other,
            f"cache_key of {self._label} is the same for {word!r} and for another word, so one would be used in "
            "place of the other.",
        )

    def test_cache_key_holds_no_secret(
        self, settings: Mapping[str, Any], timed_provider: Any, tmp_path: Path
    ) -> None:
        """`cache_key` holds no key, token or password."""
        key = self._key(timed_provider, self._request(tmp_path / "word", *self.words[0]))
        require(
            redact(key, secret_values(settings)) == key,
            f"cache_key of {self._label} holds a secret. Remove it, as self.output_settings does.",
        )

    def test_cost_estimate_is_complete(self, timed_provider: Any, tmp_path: Path) -> None:
        """`get_cost_estimate` has three numbers that are not negative, or `nan` if a price is unknown."""
        for requests in ([], self._several(tmp_path, 3)):
            with must_not_raise("get_cost_estimate"):
                estimate = timed_provider.get_cost_estimate(requests)
            amounts = [estimate.get(key) for key in _ESTIMATED] if isinstance(estimate, Mapping) else []
            require(
                amounts and all(map(_is_amount, amounts)),
                f"get_cost_estimate of {len(requests)} requests returned {estimate!r}. Return a dict with "
                f"{', '.join(_ESTIMATED)}: numbers that are not negative, or nan if a price is unknown.",
            )
            require(
                estimate["requests_count"] == len(requests),
                f"get_cost_estimate counts {estimate['requests_count']} requests of {len(requests)}.",
            )

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every possible way; yield what each use returned or raised."""
        yield connection_result(provider)
        requests = self._several(folder, 2)
        yield provider.generate_media(requests[0])
        yield from provider.generate_batch(requests)
        yield provider.generate_media(MediaRequest(UNKNOWN, "hola", {}, folder / "wrong"))
        yield provider.generate_media(self._request(folder / "no" / "folder" / "word", *self.words[0]))
        yield provider.get_cost_estimate(requests)

    def _request(self, stem: Path, word: str, language: str) -> MediaRequest:
        params = {"language": language} if language else {}
        return MediaRequest(self.type, word, params, stem.with_name(f"{stem.name}{self._ending}"))

    def _several(self, folder: Path, count: int) -> list[MediaRequest]:
        return [
            self._request(folder / f"several-{number}", *self.words[number % len(self.words)])
            for number in range(count)
        ]

    def _key(self, provider: Any, request: MediaRequest) -> str:
        """Return the cache key of a request as JSON."""
        with must_not_raise("cache_key"):
            key = provider.cache_key(request)
        try:
            return json.dumps(key, sort_keys=True)
        except (TypeError, ValueError) as error:
            fail(f"cache_key of {self._label} cannot be written as JSON: {error}.")

    def _result(self, provider: Any, request: MediaRequest) -> MediaResult:
        """Generate, and check that the result is complete."""
        with must_not_raise(
            f"generate_media({request.content[:40]!r})",
            "Errors must be in its result. If you override generate_media, override _generate_media_impl instead.",
        ):
            result = provider.generate_media(request)
        self._require_result(request, result)
        return result  # type: ignore[no-any-return]

    def _generate(self, provider: Any, request: MediaRequest) -> Path:
        return self._require_made(request, self._result(provider, request))

    def _require_result(self, request: MediaRequest, result: object) -> None:
        require(
            isinstance(result, MediaResult),
            f"{self._label} returned {result!r} instead of a MediaResult.",
        )
        assert isinstance(result, MediaResult)  # noqa: S101 - for type checkers
        if result.success:
            self._require_file(request, result)
            return
        require(
            result.failure is None or isinstance(result.failure, ProviderError),
            f"The `failure` of a result is {result.failure!r}. It must be a ProviderError of the class that fits.",
        )
        require(
            (result.error or "").strip() or (result.failure and str(result.failure).strip()),
            f"{self._label} fails for {request.content[:40]!r} without a message. Raise a ProviderError of the class "
            "that fits, with a message for the user.",
        )

    def _require_made(self, request: MediaRequest, result: object) -> Path:
        self._require_result(request, result)
        assert isinstance(result, MediaResult)  # noqa: S101 - for type checkers
        language = request.params.get("language")
        require(
            result.success,
            f"{self._label} has no result for {request.content!r} ({language}): {result.error or result.failure}\n"
            "Set `words` to words that it certainly has, each with its language.",
        )
        assert result.file_path is not None  # noqa: S101 - for type checkers
        return result.file_path

    def _require_file(self, request: MediaRequest, result: MediaResult) -> None:
        path, target = result.file_path, request.target
        require(
            isinstance(path, Path) and path.is_file(),
            f"{self._label} reports success for {request.content[:40]!r}, but its file_path {path!r} is not a file.",
        )
        assert path is not None  # noqa: S101 - for type checkers
        # A file in another folder belongs to the provider, for example in a cache of its own.
        require(
            path.resolve().parent != target.resolve().parent or path.stem == target.stem,
            f"{self._label} wrote {path} instead of {target}. In that folder, only the extension may differ.",
        )
        try:
            media_ending(path, self.type)
        except BadMediaError as error:
            fail(f"The file of {self._label} for {request.content[:40]!r}: {str(error).rstrip('.')}.")


class AudioProviderContract(_MediaContract):
    """What every provider of sounds must do.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The provider's name in a configuration.
        words: Words that it certainly has, each with its language. Give several, so that results mixed up between
            threads are found.
        wrong_settings: For each setting, a value that must be refused.
    """

    type = "audio"
    _ending = ".mp3"


class ImageProviderContract(_MediaContract):
    """What every provider of pictures must do.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The provider's name in a configuration.
        words: Words that it certainly has, each with its language. Give several, so that results mixed up between
            threads are found.
        wrong_settings: For each setting, a value that must be refused.
    """

    type = "image"
    _ending = ".png"


def _is_amount(number: object) -> bool:
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    return is_number and (math.isnan(number) or 0 <= number < math.inf)  # type: ignore[arg-type,operator]
