"""The note type of every deck that a build makes: its fields, and three cards to practise one word.

The cards are plain files in the folder `cards`, in Anki's template language. They need no script, and nothing
from the network.
"""

from __future__ import annotations

from deckwright.providers.deck import CardTemplate, NoteType

# The number, and the names of the fields and cards, stay as they are for ever. An import updates the style and
# the text of the cards, but when it finds other fields or other cards under this number, it makes a second note
# type and no longer updates the notes that a learner has.
NOTE_TYPE_ID = 1702169435  # drawn once, at random
NOTE_TYPE_NAME = "Deckwright"
FIELDS = ("Word", "Reading", "Translation", "Example", "Sound", "Picture", "Extra", "Credit", "Language")

# Name, front and back. A card exists where its front shows at least one field of the note that is not empty.
_CARDS = (
    ("Recognise", "recognise_front.html", "meaning_back.html"),
    ("Recall", "recall_front.html", "word_back.html"),
    ("Listen", "listen_front.html", "meaning_back.html"),
)


def note_type() -> NoteType:
    """Return the note type, with its templates and style as they are in the package.

    Every note makes the card Recognise: the word, with its sound, asks for the meaning. A translation or a
    picture adds Recall, which asks for the word; a sound adds Listen, which asks for word and meaning.
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
