"""`deckwright preview`: a deck as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from deckwright.cli.options import config_option, json_option
from deckwright.cli.output import echo, print_json, show
from deckwright.cli.session import store_folder
from deckwright.diagnostics import Diagnostic

if TYPE_CHECKING:
    from deckwright.preview import Origins, Preview


@click.command("preview", short_help="Show every card of a deck on one page.")
@click.argument("deck", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The page, such as spanish.html.  [default: next to the deck, with its name]",
)
@click.option("--force", is_flag=True, help="Replace the file even if it is not a preview.")
@click.option("--open", "open_it", is_flag=True, help="Show it in the browser.")
@config_option
@json_option
def command(
    deck: Path, output: Path | None, force: bool, open_it: bool, config: Path | None, as_json: bool
) -> None:
    """Show every card of DECK on one HTML page, front and back, with its sounds and pictures.

    DECK is an Anki package (.apkg), or the report that `deckwright build --report FILE.json` wrote: then the page
    also says why a sound or a picture is missing. The page is one file that works offline, so you can send it to
    others.

    \b
    Exit codes:
      0  the page is written
      2  the deck cannot be read, the page cannot be written, or the options are wrong
    """  # noqa: D301
    from deckwright.preview import write_preview

    preview = write_preview(deck, output, origins=_origins(store_folder(config)), force=force)
    if as_json:
        print_json(attrs.asdict(preview))
    else:
        _show(preview)
    if open_it:
        click.launch(str(preview.path.resolve()))


def _origins(store: Path) -> Origins:
    """Return a function that looks up in the store where media files came from."""
    from datetime import datetime, timezone

    from deckwright.preview import Origin
    from deckwright.store import Store, StoreError

    def origins(names: Sequence[str]) -> dict[str, Origin]:
        if not Store.exists(store):
            return {}
        try:
            with Store(store) as opened:
                found = {name: opened.entries.find_name(name) for name in names}
        except StoreError as error:
            message = f"The page does not say where sounds and pictures came from. {error}"
            show([Diagnostic("note", "", message)])
            return {}
        return {
            name: Origin(
                instance=entry.instance,
                provider=entry.provider,
                attribution=entry.attribution,
                cost=entry.cost,
                made_at=datetime.fromtimestamp(entry.made_at, timezone.utc).isoformat(timespec="seconds"),
            )
            for name, entry in found.items()
            if entry
        }

    return origins


def _show(preview: Preview) -> None:
    counts = (
        f"{preview.notes} notes, {preview.cards} cards, {preview.sounds} sounds, {preview.pictures} pictures"
    )
    lacking = f"; {preview.missing} of the notes are incomplete" if preview.missing else ""
    echo(f"{preview.deck}: {counts}{lacking}.")
    echo(f"The preview is in {click.style(str(preview.path), bold=True)}")
