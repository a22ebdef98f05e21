"""A stand-in for Forvo, the dictionary of recorded pronunciations, and its errors as faults.

Modelled on Forvo's API documentation and on replies that public clients recorded. The status of most errors is
not documented, so clients should use the body; a comment says where one was chosen here.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import attrs

from deckwright.testing.servers import samples
from deckwright.testing.servers.base import LocalServer, Received, Reply
from deckwright.testing.servers.faults import HtmlPage


def error(message: str, status: int = 400) -> Reply:
    """Return an error as Forvo reports it: a JSON array that holds one text."""
    return Reply.of_json([message], status)


QUOTA_SPENT = error("Limit/day reached.")
# What older clients got, and what the address of a recording returns when the quota is used up.
QUOTA_SPENT_200 = error("Limit/day reached.", 200)
# The status is our choice.
INCORRECT_DOMAIN = error("Calling from incorrect domain.")
INCORRECT_DOMAIN_200 = error("Calling from incorrect domain.", 200)
# The status is our choice.
INVALID_VALUE = error("Invalid value")
# The reply for some unknown words, and from a protection against bots.
FORBIDDEN = HtmlPage("Forbidden", 403)
NOT_FOUND = HtmlPage("Page not found", 404)
TOO_MANY_REQUESTS = HtmlPage("Too many requests", 429)

# English names of countries, which replies give, by the ISO 3166-1 alpha-3 codes that requests give.
COUNTRIES = {
    "ARG": "Argentina",
    "AUS": "Australia",
    "AUT": "Austria",
    "BEL": "Belgium",
    "BRA": "Brazil",
    "CAN": "Canada",
    "CHE": "Switzerland",
    "CHL": "Chile",
    "CHN": "China",
    "COL": "Colombia",
    "CUB": "Cuba",
    "DEU": "Germany",
    "ESP": "Spain",
    "FRA": "France",
    "GBR": "United Kingdom",
    "IRL": "Ireland",
    "ITA": "Italy",
    "JPN": "Japan",
    "MEX": "Mexico",
    "NLD": "Netherlands",
    "PER": "Peru",
    "POL": "Poland",
    "PRT": "Portugal",
    "RUS": "Russian Federation",
    "TWN": "Taiwan",
    "URY": "Uruguay",
    "USA": "United States",
    "VEN": "Venezuela",
}

# By what field, and whether the highest comes first.
_ORDERS = {
    "rate-desc": ("rate", True),
    "rate-asc": ("rate", False),
    "date-desc": ("addtime", True),
    "date-asc": ("addtime", False),
}


def pronunciation(word: str, *, audio: bytes | None = None, **fields: Any) -> dict[str, Any]:
    """Return one pronunciation as Forvo lists it.

    Args:
        word: The word that is spoken.
        audio: The recording, an MP3; by default half a second of silence that names word and speaker.
        **fields: What differs from the defaults: `username`, `sex` (`"m"` or `"f"`), `country` (its English
            name), `code` (of the language), `rate`, `num_votes`, `num_positive_votes`, `addtime`, `id`, ...
    """
    item = {
        "word": word,
        "original": word,
        "addtime": "2020-01-02 03:04:05",
        "hits": 100,
        "username": "speaker",
        "sex": "f",
        "country": "Spain",
        "code": "es",
        "langname": "Spanish",
        "rate": 0,
        "num_votes": 0,
        "num_positive_votes": 0,
        **fields,
    }
    item["audio"] = samples.mp3(f"{word} ({item['username']})") if audio is None else audio
    return item


def spanish() -> dict[str, list[dict[str, Any]]]:
    """Return some words with their pronunciations, most of them Spanish."""
    mexican: dict[str, Any] = {"country": "Mexico", "rate": 9, "num_votes": 10, "num_positive_votes": 9}
    words = {
        word: [
            pronunciation(word, username="ines", rate=2, num_votes=2, num_positive_votes=2),
            pronunciation(word, username="mateo", sex="m", addtime="2021-05-06 07:08:09", **mexican),
        ]
        for word in ("hola", "agua", "gracias", "perro", "sí", "niño", "buenos días")
    }
    words["hola"].append(pronunciation("hola", username="sofia", country="Argentina", rate=5))
    italian: dict[str, Any] = {"country": "Italy", "code": "it", "langname": "Italian"}
    words["casa"] = [pronunciation("casa"), pronunciation("casa", username="luca", sex="m", **italian)]
    return words


class ForvoServer(LocalServer):
    """Speaks Forvo's API: `word-pronunciations` and `standard-pronunciation` as JSON, and the recordings.

    Both forms of address are understood: that of the free and the commercial plan, `/key/{key}/format/json/
    action/word-pronunciations/word/{word}/...` in any order, and that of the corporate plan,
    `/api2/v1.1/{key}/word-pronunciations/word/{word}/...`, whose replies are wrapped in `data`. Results are
    filtered by `language`, `country` (three letters; two find nothing), `sex`, `username` and `rate`, sorted by
    `order` and cut to `limit`. A word that nobody spoke gets a reply without items.

    Of every recording there is an MP3; what `pathogg` names does not exist here.

    Attributes:
        pronunciations: By word, what `pronunciation` returns; may be changed at any time.
        quota: How many requests a day are allowed, searches and recordings alike; `None` for any number.
        used: How many were made. Set it to 0 and a new day begins.
    """

    def __init__(
        self,
        key: str = "forvo-key",
        pronunciations: Mapping[str, list[dict[str, Any]]] | None = None,
        *,
        quota: int | None = None,
        port: int = 0,
        latency: float = 0,
    ) -> None:
        """Prepare a server; it does not listen yet.

        Args:
            key: The only valid API key.
            pronunciations: By word, lists of what `pronunciation` returns; by default those of `spanish`.
            quota: How many requests a day are allowed; `None` for any number.
            port: The port; 0 for any free one.
            latency: Seconds before each reply.
        """
        super().__init__(port=port, latency=latency)
        self.key = key
        self.pronunciations = dict(spanish() if pronunciations is None else pronunciations)
        self.quota = quota
        self.used = 0

    def respond(self, received: Received) -> Reply:
        """Answer a search, or send a recording."""
        first, *rest = (unquote(part) for part in received.path.partition("?")[0].lstrip("/").split("/"))
        if received.method not in ("GET", "HEAD"):
            return HtmlPage("Method not allowed", 405).reply()
        if first == "audio":
            return self._recording("/".join(rest))
        if first == "api2":
            return self._corporate(rest)
        given = _pairs([first, *rest])
        if given is None or "key" not in given:
            return NOT_FOUND.reply()
        return self._search(given)

    def _corporate(self, parts: list[str]) -> Reply:
        if len(parts) < 3 or parts[0] != "v1.1":
            return NOT_FOUND.reply()
        given = _pairs(parts[3:])
        if given is None:
            return INVALID_VALUE
        reply = self._search({**given, "key": parts[1], "action": parts[2], "format": "json"})
        if reply.status == 200 and reply.body.startswith(b"{"):
            return attrs.evolve(reply, body=b'{"data":' + reply.body + b"}")
        return reply

    def _search(self, given: dict[str, str]) -> Reply:
        if given["key"] != self.key:
            return INCORRECT_DOMAIN
        if not self._may_go_on():
            return QUOTA_SPENT
        wrong = _wrong_value(given)
        if wrong:
            return error(f"Invalid value for {wrong}")
        found = [item for item in self._items(given["word"]) if _matches(item, given)]
        if given["action"] == "standard-pronunciation":
            found = sorted(found, key=lambda item: item["num_positive_votes"], reverse=True)[:1]
            found = [{**item, "standard_pronunciation": 1} for item in found]
        elif "order" in given:
            field, is_highest_first = _ORDERS[given["order"]]
            found = sorted(found, key=lambda item: item[field], reverse=is_highest_first)
        if "limit" in given:
            found = found[: int(given["limit"])]
        items = [{name: value for name, value in item.items() if name != "audio"} for item in found]
        return Reply.of_json({"attributes": {"total": len(items)}, "items": items})

    def _recording(self, name: str) -> Reply:
        try:
            kind, number, word = base64.urlsafe_b64decode(name).decode().split("/", 2)
            recording = self.pronunciations[word][int(number)]["audio"]
        except (ValueError, KeyError, IndexError):
            return NOT_FOUND.reply()
        if kind != "mp3":
            return NOT_FOUND.reply()
        if not self._may_go_on():
            return QUOTA_SPENT_200
        return Reply(200, recording, {"Content-Type": "audio/mpeg"})

    def _may_go_on(self) -> bool:
        """Count one request, unless the quota is spent."""
        if self.quota is not None and self.used >= self.quota:
            return False
        self.used += 1
        return True

    def _items(self, word: str) -> Iterator[dict[str, Any]]:
        """Yield the pronunciations of a word, each with an id and the addresses of its recordings."""
        for number, item in enumerate(self.pronunciations.get(word, [])):
            paths = {}
            for kind in ("mp3", "ogg"):
                name = base64.urlsafe_b64encode(f"{kind}/{number}/{word}".encode()).decode()
                paths[f"path{kind}"] = f"{self.url}/audio/{name}"
            yield {"id": zlib.crc32(f"{number}/{word}".encode()), **paths, **item}


def _pairs(parts: list[str]) -> dict[str, str] | None:
    """Read parts of a path as names and values in turn; `None` if one is without a partner."""
    if parts and not parts[-1]:
        parts = parts[:-1]
    return None if len(parts) % 2 else dict(zip(parts[::2], parts[1::2], strict=True))


def _wrong_value(given: dict[str, str]) -> str:
    """Return the name of the first value that is missing or not allowed, or nothing."""
    number = str.isdecimal
    checks: dict[str, Callable[[str], bool]] = {
        "action": lambda value: value in ("word-pronunciations", "standard-pronunciation"),
        "format": lambda value: value == "json",
        "word": bool,
        "sex": lambda value: value in ("m", "f"),
        "order": lambda value: value in _ORDERS,
        "rate": number,
        "limit": lambda value: number(value) and int(value) > 0,
    }
    for name, is_right in checks.items():
        if (name in given or name in ("action", "format", "word")) and not is_right(given.get(name, "")):
            return name
    return ""


def _matches(item: dict[str, Any], given: dict[str, str]) -> bool:
    return (
        given.get("language") in (None, item["code"])
        and given.get("sex") in (None, item["sex"])
        and given.get("username") in (None, item["username"])
        and ("country" not in given or COUNTRIES.get(given["country"].upper()) == item["country"])
        and int(item["rate"]) >= int(given.get("rate", -1))
    )
