"""The contracts of providers of sound and of pictures."""

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
from deckwright.testing.contracts.checking import UNKNOWN, answering, fail, require
from deckwright.testing.contracts.provider import ProviderContract, checked
from deckwright.toolkit.media_format import media_ending

_THREADS = 8
_ESTIMATED = ("total_cost", "per_request", "requests_count")
# Word and language.
_ODD = {
    "in no language": ("hola", "zxx"),
    "without a language": ("hola", ""),
    "very long": ("palabra" * 150, "es"),
    "with markup": ("<b>&\"'</b>", "es"),
    "beyond letters": ("\U0001f600 ?/%s\\ {x}", "es"),
}


class _MediaContract(ProviderContract):
    words: ClassVar[Sequence[tuple[str, str]]] = (("house", "en"),)
    _ending: ClassVar[str]

    def test_it_makes_every_word(self, limited: Any, tmp_path: Path) -> None:
        """For each of `words` there is a file, as it was asked for or elsewhere, whose content is of the right kind."""
        for number, (word, language) in enumerate(self.words):
            self._made(limited, self._request(tmp_path / f"word-{number}", word, language))

    def test_the_same_request_gives_the_same_kind(self, limited: Any, tmp_path: Path) -> None:
        """Asked again, it makes a file of the same format."""
        word, language = self.words[0]
        kinds = {
            media_ending(self._made(limited, self._request(tmp_path / again, word, language)), self.type)
            for again in ("once", "again")
        }
        require(
            len(kinds) == 1,
            f"Asked twice for {word!r}, {self._label} makes files of two kinds: {sorted(kinds)}.",
        )

    def test_it_refuses_another_type_in_its_result(self, limited: Any, tmp_path: Path) -> None:
        """A request for what it does not deliver is a result that failed, and nothing is raised."""
        request = MediaRequest(UNKNOWN, "hola", {"language": "es"}, tmp_path / "word")
        result = self._result(limited, request)
        require(
            not result.success,
            f"{self._label} says that it delivers {UNKNOWN!r}: look at the request's type, as validate_request does.",
        )

    @pytest.mark.parametrize("odd", _ODD)
    def test_odd_words_give_a_result(self, limited: Any, tmp_path: Path, odd: str) -> None:
        """Words that it may not know what to do with are a success or a failure, and nothing is raised."""
        word, language = _ODD[odd]
        self._result(limited, self._request(tmp_path / "word", word, language))

    def test_a_folder_that_is_missing_gives_a_result(self, limited: Any, tmp_path: Path) -> None:
        """A request for a file where there is no folder is a result, and nothing is raised."""
        word, language = self.words[0]
        self._result(limited, self._request(tmp_path / "no" / "folder" / "word", word, language))

    def test_a_batch_is_in_order(self, limited: Any, tmp_path: Path) -> None:
        """`generate_batch` returns one result a request, in their order; none for no requests."""
        requests = self._several(tmp_path, 3)
        unfit = MediaRequest(UNKNOWN, "hola", {}, tmp_path / "unfit")
        asked = [requests[0], unfit, *requests[1:]]
        with answering("generate_batch"):
            results = limited.generate_batch(asked)
            none = limited.generate_batch([])
        require(
            len(results) == len(asked) and len(none) == 0,
            f"generate_batch returned {len(results)} results for {len(asked)} requests, and {len(none)} for none: "
            "it is one result a request.",
        )
        for request, result in zip(asked, results, strict=True):
            if request is unfit:
                require(not result.success, "generate_batch made a success of a request of another type.")
            else:
                self._require_made(request, result)

    def test_threads_get_what_each_asked_for(self, limited: Any, tmp_path: Path) -> None:
        """Used from several threads at once, it gives each of them its own result."""
        requests = self._several(tmp_path, _THREADS)
        with answering("generate_media, in several threads,"), ThreadPoolExecutor(_THREADS) as pool:
            results = list(pool.map(limited.generate_media, requests))
        contents = [
            self._require_made(request, result).read_bytes()
            for request, result in zip(requests, results, strict=True)
        ]
        # What it makes of each word by itself, to see words that are mixed up.
        alone = {
            pair: self._made(limited, self._request(tmp_path / f"alone-{number}", *pair)).read_bytes()
            for number, pair in enumerate(dict.fromkeys(self.words))
        }
        for request, content in zip(requests, contents, strict=True):
            own = alone[request.content, request.params["language"]]
            others = [pair[0] for pair in alone if alone[pair] == content != own]
            require(
                not others,
                f"In several threads, {self._label} made {others} where {request.content!r} was asked for: keep what "
                "belongs to one request in variables of the method, not in the provider; or take a lock.",
            )

    def test_several_may_be_asked_for_at_once(self, limited: Any) -> None:
        """`at_once`, how many requests a build may make at once, is a whole number, and at least 1."""
        with answering("at_once"):
            at_once = limited.at_once
        require(
            isinstance(at_once, int) and not isinstance(at_once, bool) and at_once >= 1,
            f"at_once of {self._label} is {at_once!r}: it is a whole number, and at least 1.",
        )

    def test_its_key_tells_requests_apart(self, limited: Any, tmp_path: Path) -> None:
        """`cache_key` is made of what JSON has, is the same for equal requests, and another for another word."""
        word, language = self.words[0]
        first = self._key(limited, self._request(tmp_path / "word", word, language))
        again = self._key(limited, self._request(tmp_path / "elsewhere" / "word", word, language))
        other = self._key(limited, self._request(tmp_path / "word", f"{word} {word}", language))
        require(
            first == again,
            f"cache_key of {self._label} differs for two equal requests: each build would make, and pay for, "
            "everything again. The file it goes to, the time and the like are no part of it.",
        )
        require(
            first != other,
            f"cache_key of {self._label} is the same for {word!r} and for another word: the one would be taken for "
            "the other.",
        )

    def test_its_key_holds_no_secret(self, settings: Mapping[str, Any], limited: Any, tmp_path: Path) -> None:
        """`cache_key` holds no key, token or password: another key makes no other picture."""
        key = self._key(limited, self._request(tmp_path / "word", *self.words[0]))
        require(
            redact(key, secret_values(settings)) == key,
            f"cache_key of {self._label} holds a secret: leave it out, as self.output_settings does.",
        )

    def test_its_estimate_is_complete(self, limited: Any, tmp_path: Path) -> None:
        """`get_cost_estimate` has its three numbers, not negative, or `nan` for what is not known; for none too."""
        for requests in ([], self._several(tmp_path, 3)):
            with answering("get_cost_estimate"):
                estimate = limited.get_cost_estimate(requests)
            numbers = [estimate.get(key) for key in _ESTIMATED] if isinstance(estimate, Mapping) else []
            require(
                numbers and all(_is_an_amount(number) for number in numbers),
                f"get_cost_estimate of {len(requests)} requests returned {estimate!r}: it is a dict of "
                f"{', '.join(_ESTIMATED)}, numbers that are not negative, or nan where a price is not known.",
            )
            require(
                estimate["requests_count"] == len(requests),
                f"get_cost_estimate counts {estimate['requests_count']} requests of {len(requests)}.",
            )

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every way there is; yield what each use returned or raised."""
        yield checked(provider)
        requests = self._several(folder, 2)
        yield provider.generate_media(requests[0])
        yield from provider.generate_batch(requests)
        yield provider.generate_media(MediaRequest(UNKNOWN, "hola", {}, folder / "unfit"))
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
        """Ask for a key; return it as JSON."""
        with answering("cache_key"):
            key = provider.cache_key(request)
        try:
            return json.dumps(key, sort_keys=True)
        except (TypeError, ValueError) as error:
            fail(f"cache_key of {self._label} is nothing that JSON has: {error}.")

    def _result(self, provider: Any, request: MediaRequest) -> MediaResult:
        """Ask, and look whether what comes is a result that says what it should."""
        with answering(
            f"generate_media({request.content[:40]!r})",
            "Whatever goes wrong is in its result. If you override generate_media, write _generate_media_impl instead.",
        ):
            result = provider.generate_media(request)
        self._require_result(request, result)
        return result  # type: ignore[no-any-return]

    def _made(self, provider: Any, request: MediaRequest) -> Path:
        return self._require_made(request, self._result(provider, request))

    def _require_result(self, request: MediaRequest, result: object) -> None:
        require(
            isinstance(result, MediaResult),
            f"{self._label} returned {result!r}, where a MediaResult should be.",
        )
        assert isinstance(result, MediaResult)  # noqa: S101 - for type checkers
        if result.success:
            self._require_file(request, result)
            return
        require(
            result.failure is None or isinstance(result.failure, ProviderError),
            f"The `failure` of a result is {result.failure!r}: it should be a ProviderError of the kind that fits.",
        )
        require(
            (result.error or "").strip() or (result.failure and str(result.failure).strip()),
            f"{self._label} fails for {request.content[:40]!r} without a word: raise a ProviderError of the kind that "
            "fits, with a message for people.",
        )

    def _require_made(self, request: MediaRequest, result: object) -> Path:
        self._require_result(request, result)
        assert isinstance(result, MediaResult)  # noqa: S101 - for type checkers
        language = request.params.get("language")
        require(
            result.success,
            f"{self._label} has nothing for {request.content!r} ({language}): {result.error or result.failure}\n"
            "`words` are those that it surely has, each with its language.",
        )
        assert result.file_path is not None  # noqa: S101 - it was looked at
        return result.file_path

    def _require_file(self, request: MediaRequest, result: MediaResult) -> None:
        path, target = result.file_path, request.target
        require(
            isinstance(path, Path) and path.is_file(),
            f"{self._label} says that it made {request.content[:40]!r}, and its file_path, {path!r}, is no file.",
        )
        assert path is not None  # noqa: S101 - for type checkers
        # A file elsewhere is the provider's own, in a cache of its own perhaps.
        require(
            path.resolve().parent != target.resolve().parent or path.stem == target.stem,
            f"{self._label} wrote {path}, where {target} was asked for: in that folder, only the ending may differ.",
        )
        try:
            media_ending(path, self.type)
        except BadMediaError as error:
            fail(f"What {self._label} made for {request.content[:40]!r}: {str(error).rstrip('.')}.")


class AudioProviderContract(_MediaContract):
    """What every provider of sound keeps to.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The name that a configuration calls it by.
        words: Words that it surely has, each with its language. Several tell more than one: with them it shows when
            threads are mixed up.
        wrong_settings: By setting, a value that is to be refused.
    """

    type = "audio"
    _ending = ".mp3"


class ImageProviderContract(_MediaContract):
    """What every provider of pictures keeps to.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The name that a configuration calls it by.
        words: Words that it surely has, each with its language. Several tell more than one: with them it shows when
            threads are mixed up.
        wrong_settings: By setting, a value that is to be refused.
    """

    type = "image"
    _ending = ".png"


def _is_an_amount(number: object) -> bool:
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    return is_number and (math.isnan(number) or 0 <= number < math.inf)  # type: ignore[arg-type,operator]
