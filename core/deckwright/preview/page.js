// Draws the page: the notes with their cards, and the search.

// Notes

const LABELS = { sound: "sound", picture: "picture" };

function labelOf(note) {
  const noteType = deck.noteTypes[note.type];
  const word = textOf(note.fields[0] ?? "");
  const shown = word && !/^\[sound:[^\]]*\]$/.test(word) ? word : note.fields.map(textOf).find(Boolean);
  return { noteType, word: shortened(shown || "(empty)") };
}

function dollars(amount) {
  if (amount === null) return "cost unknown";
  if (amount === 0) return "free";
  return `$${amount < 0.1 ? amount.toFixed(4).replace(/0{1,2}$/, "") : amount.toFixed(2)}`;
}

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

function day(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.valueOf()) ? iso : days.format(date);
}

/** Returns a list of where each media file came from, and why others are missing. */
function drawParts(note) {
  const lines = [];
  for (const name of note.media) {
    const file = fileOf(name);
    if (!file) continue;
    const kind = { audio: "Sound", video: "Video", image: "Picture" }[file.type.split("/")[0]] ?? "File";
    const about = make("span", { class: "about", title: name }, `${bytes(file.bytes)}`);
    const details = make("dd", {});
    if (file.origin) {
      const { instance, provider, attribution, cost, made_at: made } = file.origin;
      const who = provider && provider !== instance ? `${instance} (${provider})` : instance;
      details.append(make("strong", {}, who), ` · ${[day(made), dollars(cost), attribution].filter(Boolean).join(" · ")} · `);
    }
    details.append(about);
    lines.push(make("div", {}, make("dt", {}, kind), details));
  }
  for (const { part, failed, reasons } of note.missing) {
    const label = Object.hasOwn(LABELS, part) ? `No ${LABELS[part]}` : "Missing file";
    const details = make("dd", {});
    if (!Object.hasOwn(LABELS, part)) details.append(make("strong", {}, shortened(part)), " ");
    if (failed && Object.hasOwn(LABELS, part)) details.append("This failed. To try again, build with --retry-failed. ");
    for (const [instance, message] of Object.entries(reasons)) {
      details.append(make("span", { class: "reason" }, instance ? make("strong", {}, `${instance}: `) : null, message), " ");
    }
    if (!details.textContent) details.append("No provider has one.");
    lines.push(make("div", { class: failed ? "missing failed" : "missing" }, make("dt", {}, label), details));
  }
  return lines.length ? make("dl", { class: "parts" }, ...lines) : null;
}

function drawNote(note, number) {
  const { noteType, word } = labelOf(note);
  const language = note.fields[noteType.fields.indexOf("Language")] || null;
  const heading = make("h2", { id: `note-${number}`, tabindex: "-1", dir: "auto", lang: language }, word);
  const decks = new Set(note.cards.map((card) => deck.decks[card[1]] ?? ""));
  const chips = [...(Object.keys(deck.decks).length > 1 ? decks : []), ...note.tags.split(" ")].filter(Boolean);
  const tags = chips.map((chip) => make("li", {}, chip.replaceAll("::", " › ")));
  return make(
    "article",
    { "aria-labelledby": heading.id },
    make("div", { class: "note-head" }, heading, tags.length ? make("ul", { class: "tags", "aria-label": "Tags" }, ...tags) : null),
    make("div", { class: "cards" }, ...note.cards.map((card) => drawCard(note, card, { noteType, word }))),
    drawParts(note),
  );
}

// Search

const LETTERS = { ß: "ss", ø: "o", ł: "l", đ: "d", æ: "ae", œ: "oe", ı: "i", ð: "d", þ: "th" };

/** Folds case, accents and the vowel signs of Hebrew and Arabic, so that `arbol` finds `árbol`. */
function fold(text) {
  return text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]/g, "")
    .replace(/[ßøłđæœıðþ]/g, (letter) => LETTERS[letter]);
}

function searchedText(note) {
  const fields = note.fields.map((field) => textOf(withoutSounds(field)));
  return fold([...fields, note.tags].join("\n"));
}

let folded = null;
let shown = [];
let drawn = 0;

function search() {
  const query = byId("find").value.trim();
  const terms = fold(query).split(/\s+/).filter(Boolean);
  const only = byId("only").checked;
  if (terms.length) folded ??= notes.map(searchedText);
  shown = [];
  notes.forEach((note, number) => {
    if ((!only || note.missing.length) && terms.every((term) => folded[number].includes(term))) shown.push(number);
  });
  const found = query || only ? `${shown.length.toLocaleString("en")} of ${counted(notes.length, "note")}` : counted(notes.length, "note");
  announce(found);
  nearby.disconnect();
  byId("notes-shown").replaceChildren();
  byId("none").hidden = shown.length > 0;
  drawn = 0;
  drawMore();
}

/** Draws the next notes; returns the first of them. */
function drawMore() {
  const next = shown.slice(drawn, drawn + STEP);
  const articles = next.map((number) => drawNote(notes[number], number));
  byId("notes-shown").append(...articles);
  drawn += next.length;
  const rest = shown.length - drawn;
  byId("more").hidden = rest === 0;
  byId("more").textContent = `Show ${Math.min(rest, STEP)} more of ${rest.toLocaleString("en")}`;
  return articles[0];
}

function announce(text) {
  byId("status").textContent = text;
}

function later(action, milliseconds) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}

function drawHead() {
  const { counts } = deck;
  byId("name").textContent = deck.name.replaceAll("::", " › ");
  const costs = Object.values(deck.media).map((file) => file.origin?.cost ?? 0);
  const cost = costs.reduce((sum, amount) => sum + amount, 0);
  const lines = [
    [counts.notes, counts.notes === 1 ? "note" : "notes"],
    [counts.cards, counts.cards === 1 ? "card" : "cards"],
    [counts.sounds, counts.sounds === 1 ? "sound" : "sounds"],
    [counts.pictures, counts.pictures === 1 ? "picture" : "pictures"],
    [counts.missing, "incomplete"],
    [bytes(counts.bytes), "file size"],
    ...(cost ? [[dollars(cost), "cost of media"]] : []),
  ];
  byId("counts").append(
    ...lines.map(([count, label]) =>
      make("div", {}, make("dt", {}, label), make("dd", {}, typeof count === "number" ? count.toLocaleString("en") : count)),
    ),
  );
}

byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("find").addEventListener("input", later(search, 150));
byId("only").addEventListener("change", search);
byId("more").addEventListener("click", () => drawMore()?.querySelector("h2").focus());
drawHead();
search();
