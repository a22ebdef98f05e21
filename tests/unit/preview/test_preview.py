"""What goes into a preview; what the page makes of it is tested with a browser, in tests/preview."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from apkg_files import PIXEL, model, write_apkg

from deckwright import cli
from deckwright.errors import DataError
from deckwright.preview import Origin, write_preview

KIND = model(["Word", "Sound", "Picture"], ("{{Word}}", "{{FrontSide}}{{Sound}}{{Picture}}"))
FULL = ["uno", "[sound:a.mp3]", '<img src="b.svg">']


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    """A package of a note that has all, and one that has nothing but its word."""
    notes = [FULL, ["dos&#91;<br>x", "", "<br>"]]
    return write_apkg(
        tmp_path / "deck.apkg", notes, KIND, {"a.mp3": b"ID3 sound", "b.svg": PIXEL}, deck="Two"
    )


def blocks(page: Path) -> dict[str, Any]:
    """Return what a page holds as JSON, by the name of each block."""
    found = re.findall(
        r'(?s)<script type="application/json" id="([^"]+)">(.*?)</script>', page.read_text("utf-8")
    )
    return {name: json.loads(text) for name, text in found}


class TestPage:
    def test_it_is_beside_the_deck_and_holds_all_of_it(self, deck: Path) -> None:
        preview = write_preview(deck)
        assert preview.path == deck.with_suffix(".html")
        assert (preview.deck, preview.notes, preview.cards, preview.missing) == ("Two", 2, 2, 1)
        assert (preview.sounds, preview.pictures) == (1, 1)
        assert preview.bytes == preview.path.stat().st_size
        content = blocks(preview.path)
        assert content["notes"][0]["fields"] == FULL
        assert content["notes"][0]["media"] == ["a.mp3", "b.svg"]
        assert [item["part"] for item in content["notes"][1]["missing"]] == ["sound", "picture"]
        sound = content["deck"]["media"]["a.mp3"]
        assert sound["type"] == "audio/mpeg"
        assert base64.b64decode(content[sound["block"]]) == b"ID3 sound"
        assert [file.name for file in deck.parent.iterdir() if file.name.startswith(".")] == []

    def test_its_policy_lets_no_script_run_but_its_own(self, deck: Path) -> None:
        text = write_preview(deck).path.read_text("utf-8")
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
        [script] = re.findall(r"(?s)<script>(.*?)</script>", text)
        assert policy
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}';" in policy[1]
        assert policy[1].startswith("default-src 'none';")
        assert not re.search(r"https?:", policy[1])

    def test_no_text_ends_the_block_that_it_is_in(self, tmp_path: Path) -> None:
        hostile = "</script><script>alert(1)</script><!--"
        package = write_apkg(tmp_path / "deck.apkg", [[hostile, "", ""]], KIND, {hostile: b""}, deck=hostile)
        page = write_preview(package).path
        assert blocks(page)["notes"][0]["fields"][0] == hostile
        assert page.read_text("utf-8").count("alert(1)</script>") == 0

    def test_bytes_that_are_no_text_do_no_harm(self, tmp_path: Path) -> None:
        kind = model(["\ud800"], ("{{\ud800}}", ""), name="\udfff")
        package = write_apkg(tmp_path / "deck.apkg", [b"a\xed\xa0\x80\xff"], kind, deck="\ud800")
        content = blocks(write_preview(package).path)
        assert content["notes"][0]["fields"][0].startswith("a\ufffd")
        assert content["deck"]["name"] == "\ud800"

    def test_origins_are_asked_for_once(self, deck: Path) -> None:
        origin = Origin("calm", "voices", "", None, "2026-11-24T08:00:00+00:00")
        asked: list[Sequence[str]] = []

        def origins(names: Sequence[str]) -> Mapping[str, Origin]:
            asked.append(names)
            return {"a.mp3": origin}

        media = blocks(write_preview(deck, origins=origins).path)["deck"]["media"]
        assert asked == [["a.mp3", "b.svg"]]
        assert media["a.mp3"]["origin"]["instance"] == "calm"
        assert media["b.svg"]["origin"] is None

    def test_files_that_the_package_lacks_are_missing(self, tmp_path: Path) -> None:
        note = ["x", "[sound:gone.mp3]", "<img alt='' src=gone%20too.png><img src='https://a.example/b.png'>"]
        package = write_apkg(tmp_path / "deck.apkg", [note], KIND, {"gone.mp3": b""}, missing=["gone.mp3"])
        [shown] = blocks(write_preview(package).path)["notes"]
        assert [item["part"] for item in shown["missing"]] == ["gone.mp3", "gone too.png"]

    def test_names_of_files_are_composed_as_by_anki(self, tmp_path: Path) -> None:
        note = ["x", "[sound:e\u0301.mp3]", "<img src=y.svg>"]
        package = write_apkg(tmp_path / "deck.apkg", [note], KIND, {"e\u0301.mp3": b"", "y.svg": PIXEL})
        content = blocks(write_preview(package).path)
        assert set(content["deck"]["media"]) == {"\xe9.mp3", "y.svg"}
        assert content["notes"][0]["missing"] == []

    def test_cards_without_a_template_are_not_shown(self, tmp_path: Path) -> None:
        package = write_apkg(tmp_path / "deck.apkg", [FULL], KIND, templates=[0, 1, -1])
        assert write_preview(package).cards == 1


class TestOutput:
    def test_another_preview_is_replaced(self, deck: Path) -> None:
        first = write_preview(deck).path
        first.write_bytes(first.read_bytes() + b"older")
        assert not write_preview(deck).path.read_bytes().endswith(b"older")

    def test_what_is_no_preview_stays_unless_forced(self, deck: Path, tmp_path: Path) -> None:
        page = tmp_path / "deck.html"
        page.write_text("my own")
        with pytest.raises(DataError, match="not a preview"):
            write_preview(deck)
        assert page.read_text() == "my own"
        assert write_preview(deck, force=True).path.stat().st_size > 1000

    def test_the_deck_itself_is_never_replaced(self, deck: Path) -> None:
        with pytest.raises(DataError, match="is the deck to show"):
            write_preview(deck, deck, force=True)

    def test_a_damaged_file_leaves_no_page(self, deck: Path) -> None:
        content = deck.read_bytes()
        deck.write_bytes(content.replace(b"ID3 sound", b"ID3 SOUND"))
        with pytest.raises(DataError, match=r"damaged.*a\.mp3"):
            write_preview(deck)
        assert [file.name for file in deck.parent.iterdir()] == ["deck.apkg"]


class TestWrongFiles:
    @pytest.mark.parametrize(
        "content", [b"", b"PK\x03\x04", b"word,translation\n", b'{"deck": 1}', b"[" * 99_999]
    )
    def test_what_is_neither_deck_nor_report(self, content: bytes, tmp_path: Path) -> None:
        for name in ("some.apkg", "some.json"):
            file = tmp_path / name
            file.write_bytes(content)
            with pytest.raises(DataError, match=rf"some\.{name[5:]}"):
                write_preview(file)

    def test_a_package_for_newer_anki_only(self, tmp_path: Path) -> None:
        package = write_apkg(tmp_path / "deck.apkg", [FULL], KIND, collection="collection.anki21b")
        with pytest.raises(DataError, match=r"2\.1\.50") as caught:
            write_preview(package)
        assert "Support older Anki versions" in (caught.value.hint or "")

    def test_the_newer_of_the_old_forms(self, tmp_path: Path) -> None:
        package = write_apkg(tmp_path / "deck.apkg", [FULL], KIND, collection="collection.anki21")
        assert write_preview(package).notes == 1

    @pytest.mark.parametrize(
        "entries", [{}, {"collection.anki2": b"no database"}, {"../collection.anki2": b"x"}]
    )
    def test_other_archives(self, entries: Mapping[str, bytes], tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "deck.apkg", "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
        with pytest.raises(DataError, match=r"deck\.apkg"):
            write_preview(tmp_path / "deck.apkg")


class TestReports:
    def write(self, deck: Path, *missing: Mapping[str, Any], **changes: Any) -> Path:
        report = deck.with_name("report.json")
        content = {"deck": "Named", "outputs": {"none": None, "file": deck.name}, "missing": missing}
        report.write_text(json.dumps({**content, **changes}), "utf-8")
        return report

    def test_it_says_why_something_is_missing(self, deck: Path) -> None:
        # The second note's word, as it stands in the word list.
        item = {"word": "dos[\nx", "type": "image", "failed": True, "reasons": {"painter": "It is closed."}}
        preview = write_preview(self.write(deck, item, {**item, "word": "uno"}, {**item, "type": "smell"}))
        assert (preview.path, preview.deck) == (deck.with_suffix(".html"), "Named")
        first, second = blocks(preview.path)["notes"]
        assert first["missing"] == []
        assert second["missing"] == [
            {"part": "sound", "failed": False, "reasons": {}},
            {"part": "picture", "failed": True, "reasons": {"painter": "It is closed."}},
        ]

    @pytest.mark.parametrize("outputs", [{}, {"anki": None}, {"file": "elsewhere.apkg"}])
    def test_a_build_without_a_file(self, outputs: Mapping[str, Any], deck: Path) -> None:
        with pytest.raises(DataError, match=r"report\.json"):
            write_preview(self.write(deck, outputs=outputs))


class TestCommand:
    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["deckwright", "preview", *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        return int(done.value.code or 0)

    def test_it_reports_what_it_wrote(
        self, deck: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        page = deck.with_name("my.html")
        assert self.run(monkeypatch, str(deck), "-o", str(page), "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["path"], shown["notes"], shown["missing"]) == (str(page), 2, 1)
        assert self.run(monkeypatch, str(deck), "-o", str(page)) == 0
        assert "2 notes, 2 cards" in capsys.readouterr().out

    def test_a_wrong_file_is_explained(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "words.csv").write_text("word\nuno\n")
        assert self.run(monkeypatch, str(tmp_path / "words.csv")) == cli.WRONG_INPUT
        error = capsys.readouterr().err
        assert "neither an Anki package nor a report" in error
        assert "Traceback" not in error
