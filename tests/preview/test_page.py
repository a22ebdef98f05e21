"""What the page does in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apkg_files import PIXEL, model, write_apkg
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from deckwright.preview import Origin, write_preview

# Opens a page, as the fixture says.
OpenPage = Callable[..., Any]
# The address of a server, and what it was asked for.
Elsewhere = tuple[str, list[str]]

# Every side of every card: its text, and how wide its pictures are in truth.
SIDES = """() => [...document.querySelectorAll(".screen > div")].map((host) => {
    const body = host.shadowRoot.querySelector("dw-body");
    return {
        text: body.textContent.trim(),
        buttons: body.querySelectorAll("button").length,
        pictures: [...body.querySelectorAll("img")].map((picture) => picture.naturalWidth),
        height: host.getBoundingClientRect().height,
        absent: body.querySelectorAll(".absent").length,
    };
})"""
DECODED = """() => Promise.all([...document.querySelectorAll(".screen > div")].flatMap((host) =>
    [...host.shadowRoot.querySelectorAll("img")].map((picture) => picture.decode()))).then(() => null)"""
# Plays on, until it ends; what is then known of it.
LISTENED = """() => new Promise((resolve, reject) => {
    const player = document.getElementById("player");
    const ended = () => resolve([player.currentTime, player.duration]);
    if (player.ended) ended();
    player.addEventListener("ended", ended);
    player.addEventListener("error", () => reject(player.error));
    setTimeout(() => reject(new Error("It does not end.")), 20000);
})"""
FOCUSED = """() => {
    let element = document.activeElement;
    while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element.getAttribute("aria-label") ?? element.id;
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SCREENS = [(1280, 900), (390, 844), (320, 568)]


class TestCards:
    def test_every_card_of_the_example_is_there(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page)
        opened.show_all()
        opened.page.evaluate(DECODED)
        sides = opened.page.evaluate(SIDES)
        assert opened.status == "70 notes"
        assert opened.page.get_by_role("article").count() == 70
        assert len(sides) == 2 * 210
        for side in sides:
            assert side["text"] or side["buttons"] or side["pictures"]
            assert side["height"] > 100
            assert side["absent"] == 0
        widths = [width for side in sides for width in side["pictures"]]
        # Each picture is on the front and back of Recall, and on the backs of the two others.
        assert len(widths) == 54 * 4
        assert min(widths) > 0

    def test_the_cards_are_those_of_anki(
        self, open_page: OpenPage, spanish: Path, spanish_page: Path, anki_collection: Callable[[], Any]
    ) -> None:
        shown = _as_rendered(open_page(spanish_page))
        assert len(shown) == 210
        assert shown == _as_in_anki(anki_collection(), spanish)

    @pytest.mark.parametrize("cloze", [False, True], ids=["cards", "cloze"])
    def test_the_template_language_is_that_of_anki(
        self, cloze: bool, open_page: OpenPage, tmp_path: Path, anki_collection: Callable[[], Any]
    ) -> None:
        special = "{{Type}}|{{Deck}}|{{Subdeck}}|{{Card}}|{{Tags}}"
        cards = [
            (
                "{{A}} {{#B}}[{{B}} {{^C}}no C{{/C}}]{{/B}}{{^B}}no B{{/B}}",
                "{{FrontSide}}<hr id=answer>{{ B }}",
            ),
            ("{{text:A}} {{furigana:C}}{{kana:C}}{{kanji:C}} <!-- {{B}} -->", special + "{{A}}{{unknown:B}}"),
        ]
        notes = [
            ["one", "two", "three"],
            ["<b>1</b> &lt; 2", "", "日本[にほん]の 食[た]べ物"],
            ["a", "<br>", "<div></div>"],
        ]
        if cloze:
            cards = [("{{cloze:A}}{{#B}}{{B}}{{/B}}", "{{cloze:A}}<br>{{C}}")]
            notes = [["{{c1::uno}} y {{c2::dos::number}}", "b", ""], ["{{c1::a {{c2::b}} c}} d", "", "c"]]
        kind = model("ABC", *cards, cloze=cloze, name="Kind & sort")
        package = write_apkg(
            tmp_path / "deck.apkg", notes, kind, deck="Top::Sub", tags="one two", templates=[0, 1]
        )
        shown = _as_rendered(open_page(write_preview(package).path))
        assert len(shown) == 2 * len(notes)
        assert shown == _as_in_anki(anki_collection(), package)

    def test_a_card_knows_the_mode(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page, scheme="dark")
        ground = """() => getComputedStyle(
            document.querySelector(".screen > div").shadowRoot.querySelector("dw-body")).backgroundColor"""
        assert opened.page.evaluate(ground) == "rgb(29, 32, 35)"
        opened.page.emulate_media(color_scheme="light")
        opened.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        assert opened.page.evaluate(ground) == "rgb(251, 250, 247)"

    def test_broken_templates_say_so(self, open_page: OpenPage, tmp_path: Path) -> None:
        kind = model(["A"], ("{{#A}}{{A}}", "{{Nothing}}"))
        package = write_apkg(tmp_path / "deck.apkg", [["one"]], kind)
        front, back = open_page(write_preview(package).path).page.evaluate(SIDES)
        assert "{{#A}} is never closed" in front["text"]
        assert "There is no field Nothing" in back["text"]


def _as_rendered(opened: Any) -> list[tuple[str, str]]:
    """Return both sides of each card, as the page's own template language makes them."""
    rendered = opened.page.evaluate(
        "() => notes.flatMap((note) => note.cards.map((card) => sides(note, card))).map((it) => [it.front, it.back])"
    )
    return [(_comparable(front), _comparable(back)) for front, back in rendered]


def _as_in_anki(anki: Any, package: Path) -> list[tuple[str, str]]:
    anki.import_package(package)
    cards = [card for note in anki.notes() for card in note.cards()]
    return [(_comparable(card.question()), _comparable(card.answer())) for card in cards]


def _comparable(html: str) -> str:
    html = re.sub(r"(?s)<style>.*?</style>", "", html, count=1)
    html = re.sub(r"\[anki:play:[^]]*\]|\[sound:[^]]*\]", "[sound]", html)
    # Anki keeps what is behind a gap in attributes of it, for its own scripts.
    return re.sub(r'(<span class="cloze(?:-inactive)?")[^>]*>', r"\1>", html)


class TestSound:
    def test_a_sound_plays_to_its_end(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page)
        opened.page.get_by_role("button", name="Play the sound of la manzana").first.click()
        time, duration = opened.page.evaluate(LISTENED)
        assert duration > 0.3
        assert time == pytest.approx(duration, abs=0.1)

    def test_it_plays_by_keyboard(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page)
        opened.page.locator("#find").focus()
        for _ in range(10):
            opened.page.keyboard.press("Tab")
            if opened.page.evaluate(FOCUSED) == "Play the sound of la manzana":
                break
        else:
            pytest.fail("Tab does not lead to the button.")
        outline = "() => getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineStyle"
        assert opened.page.evaluate(outline) == "solid"
        opened.page.keyboard.press("Enter")
        time, _ = opened.page.evaluate(LISTENED)
        assert time > 0.3

    def test_what_cannot_be_played_is_said(self, open_page: OpenPage, tmp_path: Path) -> None:
        kind = model(["A"], ("{{A}}", "{{A}}"))
        package = write_apkg(
            tmp_path / "deck.apkg", [["one [sound:a.mp3]"]], kind, {"a.mp3": b"nothing like it"}
        )
        opened = open_page(write_preview(package).path)
        opened.page.get_by_role("button", name="Play the sound of one").first.click()
        expect(opened.page.get_by_role("status")).to_have_text("This browser cannot play a.mp3.")


class TestSearch:
    @pytest.mark.parametrize(
        ("query", "found"),
        [("gato", "el gato"), ("CAFÉ", "el café"), ("cafe", "el café"), ("apple", "la manzana")],
    )
    def test_it_finds_words_in_all_fields(
        self, query: str, found: str, open_page: OpenPage, spanish_page: Path
    ) -> None:
        opened = open_page(spanish_page)
        opened.page.get_by_role("searchbox").fill(query)
        expect(opened.page.get_by_role("status")).to_have_text(re.compile(r"^\d of 70 notes$"))
        count = int(opened.status.split()[0])
        headings = opened.page.get_by_role("heading", level=2).all_inner_texts()
        assert found in headings
        assert len(headings) == count

    def test_all_words_of_a_query_are_meant(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page)
        opened.page.get_by_role("searchbox").fill("gato cat animal")
        expect(opened.page.get_by_role("status")).to_have_text("1 of 70 notes")
        opened.page.get_by_role("searchbox").fill("gato apple")
        expect(opened.page.get_by_role("status")).to_have_text("0 of 70 notes")
        expect(opened.page.get_by_text("No note matches.")).to_be_visible()
        opened.page.get_by_role("searchbox").fill("")
        expect(opened.page.get_by_role("status")).to_have_text("70 notes")

    def test_only_what_lacks_something(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page)
        opened.page.get_by_label("Only with something missing").check()
        expect(opened.page.get_by_role("status")).to_have_text("16 of 70 notes")
        assert opened.page.get_by_text("No picture", exact=True).count() == 16

    def test_more_are_shown_and_the_focus_goes_there(self, open_page: OpenPage, spanish_page: Path) -> None:
        opened = open_page(spanish_page)
        shown = opened.page.get_by_role("article").count()
        assert shown < 70
        opened.page.locator("#more").focus()
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate(FOCUSED) == f"note-{shown}"


class TestParts:
    def test_origins_and_reasons_are_shown(self, open_page: OpenPage, spanish: Path, tmp_path: Path) -> None:
        report = tmp_path / "report.json"
        missing = {
            "word": "hola",
            "type": "image",
            "failed": True,
            "reasons": {"painter": "It is <b>closed</b>."},
        }
        report.write_text(
            json.dumps({"deck": "Named", "outputs": {"file": str(spanish)}, "missing": [missing]}), "utf-8"
        )
        origin = Origin("calm", "voices", "Somebody", 0.0123, "2026-11-24T08:00:00+00:00")
        preview = write_preview(
            report,
            tmp_path / "page.html",
            origins=lambda names: {n: origin for n in names if n.endswith(".mp3")},
        )
        opened = open_page(preview.path)
        assert opened.page.locator("#name").inner_text() == "Named"
        first = opened.page.get_by_role("article").first.inner_text()
        assert "calm (voices) · 24 Nov 2026 · $0.0123 · Somebody" in first
        opened.page.get_by_label("Only with something missing").check()
        hello = opened.page.get_by_role("article", name="hola")
        said = hello.inner_text()
        assert "This failed. To try again, build with --retry-failed." in said
        assert "painter: It is <b>closed</b>." in said

    def test_files_that_are_not_there_are_named(self, open_page: OpenPage, tmp_path: Path) -> None:
        kind = model(["A"], ("{{A}}", "{{A}}"))
        note = ["one [sound:lost.mp3] <img src='lost%20too.png'>"]
        package = write_apkg(tmp_path / "deck.apkg", [note], kind, {"lost.mp3": b""}, missing=["lost.mp3"])
        opened = open_page(write_preview(package).path)
        assert opened.page.get_by_text("Missing: lost.mp3").count() == 2
        assert opened.page.get_by_text("Missing: lost too.png").count() == 2
        assert opened.page.get_by_text("Missing file", exact=True).count() == 2


def _serious_faults(opened: Any) -> list[str]:
    """Return what axe holds to keep people out."""
    faults = Axe().run(opened.page).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['target']} {fault['nodes'][0]['failureSummary']}"
        for fault in faults
        if fault["impact"] in ("serious", "critical")
    ]


class TestForEverybody:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize(("width", "height"), SCREENS)
    def test_axe_finds_nothing_serious(
        self, width: int, height: int, scheme: str, open_page: OpenPage, spanish_page: Path
    ) -> None:
        opened = open_page(spanish_page, width=width, height=height, scheme=scheme)
        # Of the notes a few are enough: what stands in the way of one stands in the way of all.
        opened.page.get_by_role("searchbox").fill("hola")
        expect(opened.page.get_by_role("status")).to_have_text("1 of 70 notes")
        assert _serious_faults(opened) == []
        opened.page.get_by_role("searchbox").fill("manzana")
        expect(opened.page.get_by_role("heading", name="la manzana", level=2)).to_be_visible()
        assert _serious_faults(opened) == []

    @pytest.mark.parametrize(("width", "height"), SCREENS)
    def test_nothing_reaches_out_of_the_screen(
        self, width: int, height: int, open_page: OpenPage, spanish_page: Path, tmp_path: Path
    ) -> None:
        opened = open_page(spanish_page, width=width, height=height)
        assert opened.page.evaluate(OVERFLOW) <= 0
        word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
        note = [word, f'<div style="width: 2000px">{word}</div>']
        kind = model([word, "B"], ("{{" + word + "}}{{B}}", "{{FrontSide}}"))
        package = write_apkg(tmp_path / "deck.apkg", [note], kind, deck=word, tags=f"{word} b")
        opened = open_page(write_preview(package).path, width=width, height=height)
        assert opened.page.evaluate(OVERFLOW) <= 0
        # What is wider than a card is reached by scrolling the card.
        opened.page.get_by_role("heading", name="Card 1").scroll_into_view_if_needed()
        expect(opened.page.locator(".screen > [tabindex='0']")).to_have_count(2)
        assert _serious_faults(opened) == []


class TestHostileDecks:
    def test_nothing_in_it_runs_or_is_asked_for(
        self, open_page: OpenPage, elsewhere: Elsewhere, tmp_path: Path
    ) -> None:
        far = f"{elsewhere[0]}/x"
        run = "window.ran = true; alert(1)"
        html = f"""
            <script>{run}</script></script><script src="{far}.js"></script>
            <img src="x" onerror="{run}"><img src="{far}.png" srcset="{far}2.png 2x"><img src="ok.svg" onload="{run}">
            <svg onload="{run}"><script>{run}</script><image href="{far}3.png" xlink:href="{far}4.png"/>
              <use href="{far}.svg#a"/><rect fill="url({far}5.svg#a)" width="9" height="9"/>
              <a href="javascript:{run}"><text>link</text></a>
              <set attributeName="href" to="javascript:{run}"/></svg>
            <iframe src="{far}.html" srcdoc="<script>parent.ran = true</script>"></iframe>
            <object data="{far}.swf"></object><embed src="{far}.swf"><link rel="stylesheet" href="{far}.css">
            <meta http-equiv="refresh" content="0; url={far}"><base href="{far}/">
            <video src="{far}.mp4" poster="{far}6.png" autoplay></video><audio src="{far}.mp3" autoplay></audio>
            <video><source src="{far}.webm"><track src="{far}.vtt" default></video>
            <style>@import "{far}7.css"; @import url({far}8.css);
              @font-face {{ font-family: far; src: url("{far}.woff2") }}
              #qa {{ font-family: far; background: url('{far}9.png') }}
              i {{ background: u\\72l({far}10.png); background-image: image-set("{far}11.png" 1x) }}</style>
            <i style="background: url({far}12.png)">{{{{c1::</i>
            <p style="position: fixed; inset: 0; z-index: 99999" id="over">over</p>
            <a href="{far}" ping="{far}/ping" target="_blank">out</a><a href="javascript:{run}">run</a>
            <form action="{far}"><input name="a" autofocus><button formaction="{far}">go</button></form>
            <template><img src="{far}13.png"></template><details open ontoggle="{run}">x</details>
            <input type="image" src="{far}14.png"><body background="{far}15.png" onload="{run}">
            <marquee onstart="{run}">x</marquee><math><mtext><img src=x onerror="{run}"></mtext></math>
            </style></textarea></title></noscript><!--<script>{run}</script>--><img src=x onerror={run}>
        """
        words = b"word </script><script>window.ran = true</script> \xed\xa0\x80 \xff"
        css = f"""@import "{far}.css"; .card {{ background: url({far}.png); }} @font-face {{ font-family: a;
            src: url({far}.woff); }} .card {{ font-family: a; }} :host {{ position: fixed !important; inset: 0; }}
            </style><script>{run}</script>"""
        kind = model(
            ["</script>", "\ud800"],
            ("{{</script>}}{{\ud800}}<img src=x onerror=alert(1)>", "{{FrontSide}}<script>alert(1)</script>"),
            css=css,
            name="\udfff</script>",
        )
        names = {
            "ok.svg": PIXEL,
            "</script>.mp3": b"",
            "\ud800.png": b"",
            "__proto__": b"",
            "../../x.html": b"<script>",
        }
        package = write_apkg(
            tmp_path / "deck.apkg",
            [words + b"\x1f" + html.encode(), ["b <!--", "[sound:constructor]<img src='__proto__'>"]],
            kind,
            names,
            deck="</title><script>window.ran = true</script>\ud800",
            tags="</script> __proto__",
        )
        opened = open_page(write_preview(package).path)
        assert opened.page.get_by_role("article").count() == 2
        # Whatever is pressed.
        for text in ("out", "run", "go"):
            opened.page.get_by_text(text, exact=True).first.dispatch_event("click")
        opened.page.get_by_role("searchbox").fill("over")
        expect(opened.page.get_by_role("status")).to_have_text("1 of 2 notes")
        opened.page.wait_for_load_state("networkidle")
        assert elsewhere[1] == []
        assert opened.page.evaluate("() => window.ran") is None
        assert opened.page.locator("article img").count() > 0
        # What would lie over everything stays within its card.
        box = opened.page.locator("#over").first.bounding_box()
        screen = opened.page.locator(".screen").first.bounding_box()
        assert box is not None
        assert screen is not None
        assert box["width"] <= screen["width"]

    def test_the_policy_alone_would_stop_it(
        self, browser: Any, elsewhere: Elsewhere, spanish_page: Path
    ) -> None:
        far, asked = elsewhere
        page = browser.new_page()
        page.goto(spanish_page.as_uri())
        failed = page.evaluate(
            """(far) => { const box = document.body.appendChild(document.createElement("div"));
            box.innerHTML = `<img src="${far}/a.png" onerror="window.ran = true"><iframe src="${far}/b"></iframe>
                <p style="background: url(${far}/c.png)">x</p><video src="${far}/d.mp4" autoplay></video>
                <style>@import "${far}/e.css"; p { font-family: f }
                @font-face { font-family: f; src: url(${far}/f.woff) }</style>`;
            return fetch(`${far}/g`).then(() => "it came", () => "refused"); }""",
            far,
        )
        page.wait_for_load_state("networkidle")
        assert failed == "refused"
        assert page.evaluate("() => window.ran") is None
        assert asked == []
        page.close()


class TestLargeDecks:
    def test_ten_thousand_notes_are_all_within_reach(self, open_page: OpenPage, tmp_path: Path) -> None:
        kind = model(
            ["Word", "Translation", "Picture"], ("{{Word}}{{Picture}}", "{{FrontSide}}<hr>{{Translation}}")
        )
        notes = [[f"word {number}", f"meaning {number}", '<img src="a.svg">'] for number in range(10_000)]
        package = write_apkg(tmp_path / "deck.apkg", notes, kind, {"a.svg": PIXEL})
        opened = open_page(write_preview(package).path)
        assert opened.status == "10,000 notes"
        opened.page.get_by_role("searchbox").fill("meaning 9999")
        expect(opened.page.get_by_role("status")).to_have_text("1 of 10,000 notes")
        expect(opened.page.get_by_role("heading", name="word 9999")).to_be_visible()
