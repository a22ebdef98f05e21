"""The note type of all decks that Deckwright builds: its fields, and three cards for each word.

The folder `cards` has the templates, in Anki's template language. They need no scripts and no network.
"""

from __future__ import annotations

from deckwright.providers.deck import CardTemplate, NoteType

# Never change the id and the names of the fields and cards. An import updates the style and the templates, but if
# the fields or cards differ, Anki makes a second note type and no longer updates the notes that a learner has.
NOTE_TYPE_ID = 1702169435  # a random number
NOTE_TYPE_NAME = "Deckwright"
FIELDS = ("Word", "Reading", "Translation", "Example", "Sound", "Picture", "Extra", "Credit", "Language")

# Name, front and back. A note has a card if the front shows at least one field that is not empty.
_CARDS = (
    ("Recognise", "recognise_front.html", "meaning_back.html"),
    ("Recall", "recall_front.html", "word_back.html"),
    ("Listen", "listen_front.html", "meaning_back.html"),
)


def note_type() -> NoteType:
    """Return the note type with its templates and style.

    Every note has the card Recognise, which shows the word with its sound and asks for the meaning. A translation
    or a picture adds Recall, which asks for the word. A sound adds Listen, which asks for the word and its meaning.
    """
    from importlib.resources import files

    folder = files("deckwright.anki") / "cards"

    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    return NoteType(
        id=NOTE_TYPE_ID,
        name=NOTE_TYPE_NAME,
        fields=FIELDS,
        templates=tuple(CardTemplate(name, text(front), text(back)) for name, front, back in _CARDS),
        css=text("style.css"),
    )
