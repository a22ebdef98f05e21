from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The last two keep the browser itself from asking the network for anything.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
]


@attrs.frozen
class Opened:
    """A page in the browser, and what went on in it: what it asked for, and what it complained of."""

    page: Page
    requests: list[str] = attrs.field(factory=list)
    complaints: list[str] = attrs.field(factory=list)

    @property
    def requests_elsewhere(self) -> list[str]:
        """What was asked for beside the page itself, and what is in it."""
        own = self.page.url.partition("#")[0]
        return [url for url in self.requests if url != own and not url.startswith(("blob:", "data:"))]

    @property
    def status(self) -> str:
        """What the page announces."""
        return self.page.get_by_role("status").inner_text()

    def show_all(self) -> None:
        """Press the button for more notes until all are there."""
        more = self.page.locator("#more")
        while more.is_visible():
            more.click()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(
            "These tests need Chromium, and there is none. On Debian: apt-get install --no-install-recommends chromium",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens a page, `width` by `height` pixels, light or "dark"; at the end nothing may have left any of them.

    Nor may any have complained: of a script's error, a resource, or a breach of its own policy.
    """
    all_opened: list[Opened] = []

    def open(file: Path, *, width: int = 1280, height: int = 900, scheme: str = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(10_000)
        opened = Opened(context.new_page())
        all_opened.append(opened)
        # Of the context, to see also what a page that this one opens would ask for.
        context.on("request", lambda request: _note_request(opened, request))
        context.on("console", lambda message: _note_message(opened, message))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("dialog", lambda dialog: opened.complaints.append(f"dialog: {dialog.message}"))
        opened.page.goto(file.as_uri())
        return opened

    yield open
    for opened in all_opened:
        assert opened.requests_elsewhere == []
        assert opened.complaints == []
        assert opened.page.context.pages == [opened.page]
        opened.page.context.close()


def _note_request(opened: Opened, request: Request) -> None:
    opened.requests.append(request.url)


def _note_message(opened: Opened, message: ConsoleMessage) -> None:
    opened.complaints.append(f"{message.type}: {message.text}")


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server that no page may ask for anything: its address, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().decode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def spanish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the example's seventy words."""
    from deckwright import build_deck

    package = tmp_path_factory.mktemp("spanish") / "spanish.apkg"
    build_deck(ROOT / "examples" / "spanish.csv", output=package)
    return package


@pytest.fixture(scope="session")
def spanish_page(spanish: Path) -> Path:
    """The preview of that package."""
    from deckwright.preview import write_preview

    return write_preview(spanish).path
