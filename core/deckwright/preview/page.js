"use strict";
// Shows the deck that stands in this page as JSON. In order: reading, the template language, making a card's HTML
// harmless, cards, notes, search.

const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent);
const deck = read("deck");
const notes = read("notes");

// How many notes are drawn at a time.
const STEP = 40;
// One hundredth of the height of the screen that cards believe to be on.
const SCREEN_VH = "4.6px";

/** Makes an element with attributes and children; text becomes text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  let place = 0;
  while (count >= 1000 && place < units.length - 1) [count, place] = [count / 1000, place + 1];
  return `${place && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[place]}`;
}

const many = (count, one, more = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

/** Parses HTML in a document of its own, in which nothing is loaded or run. */
function parsed(html) {
  // The policy of this page would tell the console of all that it keeps from working.
  const quiet = html.replace(/<[a-z](?:"[^"]*"|'[^']*'|[^>"'])*/gi, (tag) =>
    tag.replace(/([\s"'/])on(?=[a-z]+\s*=)/gi, "$1data-on").replace(/^<(base|track)\b/i, "<wbr"),
  );
  return new DOMParser().parseFromString(quiet, "text/html").body;
}

// A text area takes everything for text but entities; in a document of its own, like all that is parsed here.
const decoder = parsed("<textarea></textarea>").firstElementChild;

/** The text of a piece of HTML. */
function stripped(html) {
  const text = html.replace(/<!--[^]*?-->|<(script|style)\b[^]*?<\/\1>|<[^]*?>/gi, "");
  if (!text.includes("&")) return text;
  decoder.innerHTML = text;
  return decoder.value;
}

/** The text of a piece of HTML, in one line. */
function textOf(html) {
  return stripped(html.replace(/<(br|div|p|li)\b/gi, " <$1")).replace(/\s+/g, " ").trim();
}

const withoutSounds = (html) => html.replace(/\[sound:[^\]]*\]/g, "");

// Media

const urls = new Map();

function fileOf(name) {
  const composed = name.normalize("NFC");
  return Object.hasOwn(deck.media, composed) ? deck.media[composed] : null;
}

/** Returns an address within this page for a media file that the deck has; null for any other. */
function addressOf(name) {
  const file = fileOf(name);
  if (!file) return null;
  if (!urls.has(file.block)) {
    const block = byId(file.block);
    const text = atob(block.textContent.slice(1, -1));
    const data = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) data[place] = text.charCodeAt(place);
    urls.set(file.block, URL.createObjectURL(new Blob([data], { type: file.type })));
    block.textContent = ""; // it is in the blob now
  }
  return urls.get(file.block);
}

/** Returns the name of a media file that an address in a card stands for. */
function nameIn(address) {
  try {
    return decodeURIComponent(address.trim());
  } catch {
    return address.trim();
  }
}

/** Returns what may stand in place of an address in a card: something within this page, or null. */
function inPage(address) {
  if (/^\s*data:(image|audio|video|font)\//i.test(address)) return address;
  return addressOf(nameIn(address)) ?? addressOf(address);
}

let playing = null;

function play(button, name) {
  const player = byId("player");
  if (playing) playing.classList.remove("playing");
  playing = button;
  button.classList.add("playing");
  player.src = addressOf(name);
  player.play().catch((error) => {
    button.classList.remove("playing");
    // Another sound was begun before this one could be heard: that is no fault.
    if (error.name !== "AbortError") say(`This browser cannot play ${name}.`);
  });
}

byId("player").addEventListener("ended", () => playing?.classList.remove("playing"));

// Anki's template language

class BrokenTemplate extends Error {}

const emptyField = /^(?:\s|<\/?(?:br|div) ?\/?>)*$/i;

/** Turns a template into a list of texts, fields ({field, filters}) and conditions ({test, whenEmpty, parts}). */
function parse(template) {
  const open = [{ test: null, parts: [] }];
  let end = 0;
  const add = (part) => open[open.length - 1].parts.push(part);
  for (const match of template.matchAll(/<!--[\s\S]*?-->|\{\{([\s\S]+?)\}\}/g)) {
    add(template.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[1] === undefined) {
      add(match[0]);
      continue;
    }
    const inside = match[1].trim();
    const name = inside.slice(1).trim();
    if (inside[0] === "#" || inside[0] === "^") {
      open.push({ test: name, whenEmpty: inside[0] === "^", parts: [] });
    } else if (inside[0] === "/") {
      const condition = open.pop();
      if (!open.length || condition.test !== name) throw new BrokenTemplate(`{{${inside}}} closes nothing.`);
      add(condition);
    } else {
      const filters = inside.split(":").map((part) => part.trim());
      add({ field: filters.pop(), filters: filters.reverse() });
    }
  }
  if (open.length > 1) throw new BrokenTemplate(`{{#${open.pop().test}}} is never closed.`);
  open[0].parts.push(template.slice(end));
  return open[0].parts;
}

const FILTERS = {
  text: stripped,
  hint: (value, card, field) =>
    emptyField.test(value) ? "" : `<details class="hint"><summary>${escapeText(field)}</summary>${value}</details>`,
  cloze: (value, card) => cloze(value, card, false),
  "cloze-only": (value, card) => cloze(value, card, true),
  furigana: (value) => readings(value, "<ruby><rb>$1</rb><rt>$2</rt></ruby>"),
  kanji: (value) => readings(value, "$1"),
  kana: (value) => readings(value, "$2"),
  type: (value, card, field) => {
    const label = `Type: ${escapeText(field)}`;
    return card.isBack
      ? `<code id="typeans">${escapeText(textOf(withoutSounds(value)))}</code>`
      : `<input id="typeans" type="text" aria-label="${label}" placeholder="${label}">`;
  },
};

function escapeText(text) {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.codePointAt(0)};`);
}

function readings(value, replacement) {
  return value.replace(/&nbsp;/g, " ").replace(/ ?([^ >]+?)\[(.+?)\]/g, (whole, base, reading) =>
    reading.startsWith("sound:") ? whole : replacement.replace("$1", () => base).replace("$2", () => reading),
  );
}

/** Hides or shows the gaps of a cloze field; from the innermost out, since one gap may stand in another. */
function cloze(value, card, only) {
  const innermost = /\{\{c(\d+)::((?:(?!\{\{c\d+::)[\s\S])*?)(?:::((?:(?!\{\{c\d+::|::)[\s\S])*?))?\}\}/;
  const gaps = [];
  let match;
  while ((match = innermost.exec(value))) {
    const [whole, number, content, hint] = match;
    let shown = `<span class="cloze-inactive" data-ordinal="${number}">${content}</span>`;
    if (Number(number) === card.place + 1) {
      gaps.push(content);
      shown = `<span class="cloze" data-ordinal="${number}">${card.isBack ? content : `[${hint ?? "..."}]`}</span>`;
    }
    value = value.slice(0, match.index) + shown + value.slice(match.index + whole.length);
  }
  return only ? gaps.join(", ") : gaps.length ? value : "";
}

/** Renders parsed parts of a template for a card: {fields, place, isBack}. */
function render(parts, card) {
  const rendered = parts.map((part) => {
    if (typeof part === "string") return part;
    if ("test" in part) return isEmpty(part.test, card) === part.whenEmpty ? render(part.parts, card) : "";
    if (part.filters.some((filter) => filter.startsWith("tts"))) return ""; // spoken by the device itself
    if (!Object.hasOwn(card.fields, part.field)) throw new BrokenTemplate(`There is no field ${part.field}.`);
    return part.filters.reduce(
      (value, filter) => (Object.hasOwn(FILTERS, filter) ? FILTERS[filter](value, card, part.field) : value),
      card.fields[part.field],
    );
  });
  return rendered.join("");
}

function isEmpty(name, card) {
  const gap = /^c(\d+)$/.exec(name);
  if (gap && !Object.hasOwn(card.fields, name)) return Number(gap[1]) !== card.place + 1;
  return emptyField.test(Object.hasOwn(card.fields, name) ? card.fields[name] : "");
}

/** Returns the HTML of both sides of a card of a note. */
function sides(note, [place, deckNumber, number]) {
  const kind = deck.noteTypes[note.type];
  const template = kind.templates[kind.is_cloze ? 0 : place];
  const name = Object.hasOwn(deck.decks, deckNumber) ? deck.decks[deckNumber] : "";
  // As HTML, like the fields: so does Anki.
  const special = {
    Tags: note.tags,
    Type: kind.name,
    Deck: name,
    Subdeck: name.split("::").pop(),
    Card: template.name,
    CardFlag: "",
    CardID: String(number),
    FrontSide: "",
  };
  const own = Object.fromEntries(kind.fields.map((field, index) => [field, note.fields[index]]));
  const side = (text, isBack, more) => {
    try {
      return render(parse(text), { fields: { ...special, ...own, ...more }, place, isBack });
    } catch (error) {
      if (!(error instanceof BrokenTemplate)) throw error;
      return `<p>This template is broken. ${escapeText(error.message)}</p>`;
    }
  };
  const front = side(template.front, false, {});
  return { front, back: side(template.back, true, { FrontSide: front }), name: template.name };
}

// Making the HTML and the style of a card harmless. The policy in the head of this page keeps scripts from running
// and requests from being made, whatever is in a card; this keeps them from being tried.

const DROPPED =
  "script, iframe, frame, frameset, object, embed, applet, link, meta, base, template, noscript, portal, " +
  "animate, animateMotion, animateTransform, set, fencedframe, track";
const NEVER = new Set(
  ("srcset sizes ping action formaction background poster srcdoc data codebase manifest autofocus autoplay target " +
    "accesskey contenteditable nonce popover popovertarget commandfor cite longdesc lowsrc dynsrc imagesrcset").split(" "),
);

function harmless(html, context) {
  const body = parsed(html);
  const styles = [];
  for (const style of body.querySelectorAll("style")) {
    styles.push(style.textContent);
    style.remove();
  }
  for (const element of body.querySelectorAll(DROPPED)) element.remove();
  for (const form of body.querySelectorAll("form")) form.replaceWith(...form.childNodes);
  for (const element of body.querySelectorAll("*")) {
    const heading = /^h([1-6])$/i.exec(element.localName);
    const address = element.getAttribute("src");
    for (const { name, value } of [...element.attributes]) {
      const plain = name.toLowerCase();
      if (plain.startsWith("on") || NEVER.has(plain) || /^(src|href|xlink:href)$/.test(plain)) {
        element.removeAttribute(name);
        const own = plain.endsWith("href") && (value.startsWith("#") ? value : inPage(value));
        if (own && element.localName !== "a") element.setAttribute(name, own);
        if (plain === "href" && element.localName === "a") element.setAttribute("title", value); // it leads nowhere here
      } else if (plain === "style" || /url\s*\(|\\/i.test(value)) {
        if (plain === "style" || element.namespaceURI.endsWith("svg")) element.setAttribute(name, harmlessStyle(value));
      }
    }
    // Within this page a card is no document of its own.
    if (heading) element.setAttribute("aria-level", Math.min(6, Number(heading[1]) + 3));
    if (/^(main|header|footer|nav|aside|search)$/.test(element.localName)) element.setAttribute("role", "none");
    if (Number(element.getAttribute("tabindex")) > 0) element.setAttribute("tabindex", "0");
    if (address !== null && /^(img|audio|video|source|input)$/.test(element.localName)) {
      place(element, address, context);
    }
  }
  addSounds(body, context);
  return { nodes: [...body.childNodes], styles };
}

/** Gives a picture (or another element with a source) what the deck has for it, or says that it has nothing. */
function place(element, address, context) {
  const own = inPage(address);
  if (own === null) {
    const elsewhere = /^\s*([a-z][a-z0-9+.-]*:|\/\/)/i.test(address);
    const what = elsewhere ? "Not in the deck" : "Missing";
    element.replaceWith(make("span", { class: "absent" }, `${what}: ${shortened(nameIn(address))}`));
    return;
  }
  element.setAttribute("src", own);
  if (element.localName === "img") {
    element.setAttribute("decoding", "async");
    if (!element.getAttribute("alt")) element.setAttribute("alt", `Picture for ${context.word}`);
  } else if (/^(audio|video)$/.test(element.localName)) {
    element.setAttribute("controls", "");
  }
}

function shortened(text) {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Puts a button in the place of each `[sound:...]`. */
function addSounds(body, context) {
  const texts = [];
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode.data.includes("[sound:")) texts.push(walker.currentNode);
  const names = new Set();
  for (const text of texts) {
    const pieces = text.data.split(/\[sound:([^\]]+)\]/);
    text.replaceWith(
      ...pieces.map((piece, index) => {
        if (index % 2 === 0) return piece;
        names.add(piece);
        return soundButton(piece, context, [...names].indexOf(piece));
      }),
    );
  }
}

function soundButton(name, context, index) {
  const file = fileOf(name);
  if (!file) return make("span", { class: "absent" }, `Missing: ${shortened(name)}`);
  if (file.type.startsWith("video/")) {
    return make("video", { controls: true, preload: "none", src: addressOf(name), "aria-label": `Film for ${context.word}` });
  }
  const label = `Play the sound of ${context.word}${index ? ` (${index + 1})` : ""}`;
  const button = make("button", { type: "button", class: "replay-button soundLink", "aria-label": label });
  button.innerHTML =
    '<svg class="playImage" viewBox="0 0 64 64" aria-hidden="true"><circle cx="32" cy="32" r="29"/>' +
    '<path d="M56.5,32.3l-37.5,20.1l0.3,-40.8l37.2,20.7Z"/></svg>';
  button.addEventListener("click", () => play(button, name));
  return button;
}

/** Returns a style with nothing in it from elsewhere, whose units are those of a card and not of this page. */
function harmlessStyle(css) {
  return css
    .replace(/\\([0-9a-f]{1,6})\s?/gi, (whole, code) => {
      const letter = String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff));
      return /[a-z-]/i.test(letter) ? letter : whole; // a letter in disguise
    })
    .replace(/\\([g-z])/gi, "$1")
    .replace(/@import\b[^;]*;?/gi, "")
    .replace(/(?:-webkit-)?image-set\s*\(|\bsrc\s*\(/gi, "none(")
    .replace(/url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"']*))\s*\)?/gi, (whole, double, single, bare) => {
      const address = double ?? single ?? bare ?? "";
      const own = address.trim().startsWith("#") ? address.trim() : (inPage(address) ?? "data:,");
      return `url("${own.replace(/["\\\n]/g, encodeURIComponent)}")`;
    })
    .replace(/(?<![\w#.-])(\d*\.?\d+)v(w|h|min|max|i|b)\b/gi, (whole, count, unit) =>
      /^(w|min|i)$/i.test(unit) ? `${count}cqw` : `calc(${count} * ${SCREEN_VH})`,
    );
}

// Cards. Each side stands in a shadow tree, so that the style of a deck bears upon its cards alone. `dw-html` and
// `dw-body` are in it what the document and its body are on the screen of Anki.

const BASE = sheet(`
  :host { all: initial; display: block; height: 100%; overflow: auto; container-type: inline-size; }
  dw-html { display: grid; min-height: 100%; }
  dw-body { display: block; box-sizing: border-box; padding: 20px; overflow-wrap: break-word;
    background-color: #fff; color: #000; }
  dw-body.nightMode { background-color: #2c2c2c; color: #fcfcfc; color-scheme: dark; }
  hr { background-color: #737373; margin: 1em 0; border: none; height: 1px; }
  img, video { max-width: 100%; max-height: calc(95 * ${SCREEN_VH}); }
  .replay-button { all: unset; display: inline-flex; vertical-align: middle; margin: 3px; border-radius: 50%;
    cursor: pointer; }
  .replay-button svg { width: 40px; height: 40px; }
  .replay-button svg circle { fill: #fff; stroke: #414141; }
  .replay-button svg path { fill: #414141; }
`);
// After the deck's own style: what must be seen whatever that says.
const LAST = sheet(`
  :host { position: static !important; }
  .replay-button:focus-visible, summary:focus-visible, a:focus-visible, input:focus-visible {
    outline: 3px solid #1f6f78 !important; outline-offset: 2px !important; box-shadow: 0 0 0 2px #fff !important; }
  .nightMode .replay-button:focus-visible { outline-color: #74c4cc !important; box-shadow: none !important; }
  .replay-button:hover svg { filter: brightness(.94); }
  .replay-button.playing svg { animation: dw-playing .9s ease-in-out infinite alternate; }
  @keyframes dw-playing { to { transform: scale(.88); } }
  @media (prefers-reduced-motion: reduce) { .replay-button.playing svg { animation: none; opacity: .6; } }
  .absent { display: inline-block; padding: 4px 10px; border: 1px dashed; border-radius: 8px; font-size: 14px;
    overflow-wrap: anywhere; }
`);

function sheet(css) {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}

/** Lets the rules for the document and its body hold for the elements that stand for them. */
function redirect(rules) {
  for (const rule of rules) {
    if (rule.selectorText) {
      const selector = rule.selectorText
        .replace(/(^|[\s,>+~(])(?:html(?![\w-])|:root)/gi, "$1dw-html")
        .replace(/(^|[\s,>+~(])body(?![\w-])/gi, "$1dw-body");
      if (selector !== rule.selectorText) rule.selectorText = selector;
    }
    if (rule.cssRules) redirect(rule.cssRules);
  }
}

const sheets = new Map();

function cardSheet(css) {
  if (!sheets.has(css)) {
    const made = sheet(harmlessStyle(css));
    redirect(made.cssRules);
    sheets.set(css, made);
  }
  return sheets.get(css);
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const MODES = ["nightMode", "night_mode", "night-mode"];

function setMode(root) {
  for (const element of root.querySelectorAll("dw-html, dw-body")) {
    for (const name of MODES) element.classList.toggle(name, dark.matches);
  }
}

dark.addEventListener("change", () => {
  for (const host of document.querySelectorAll(".screen > div")) setMode(host.shadowRoot);
});

// A card with something wider than itself is scrolled, by keyboard as well.
const nearby = new IntersectionObserver(
  (entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      if (target.scrollWidth <= target.clientWidth && target.scrollHeight <= target.clientHeight) continue;
      target.tabIndex = 0;
      target.role = "group";
      target.ariaLabel = `${target.dataset.label}, to be scrolled`;
    }
  },
  { rootMargin: "1500px" },
);

function drawSide(html, side, card, context) {
  const host = make("div");
  const root = host.attachShadow({ mode: "open" });
  const { nodes, styles } = harmless(html, context);
  const body = make("dw-body", { class: `card card${card[0] + 1}` }, make("div", { id: "qa" }, ...nodes));
  root.append(make("dw-html", {}, body));
  root.adoptedStyleSheets = [BASE, cardSheet(context.kind.css), ...styles.map(cardSheet), LAST];
  setMode(root);
  host.dataset.label = `${side} of ${context.cardName}`;
  nearby.observe(host);
  return make(
    "div",
    { class: `side ${side.toLowerCase()}`, role: "group", "aria-label": host.dataset.label },
    make("p", { class: "side-name", "aria-hidden": "true" }, side),
    make("div", { class: "screen" }, host),
  );
}

function drawCard(note, card, context) {
  const { front, back, name } = sides(note, card);
  const cardName = context.kind.is_cloze ? `${name} ${card[0] + 1}` : name;
  const inCard = { ...context, cardName };
  return make(
    "div",
    { class: "card-sides" },
    make("h3", { dir: "auto" }, cardName),
    drawSide(front, "Front", card, inCard),
    drawSide(back, "Back", card, inCard),
  );
}

// Notes

const LABELS = { sound: "sound", picture: "picture" };

function labelOf(note) {
  const kind = deck.noteTypes[note.type];
  const word = textOf(note.fields[0] ?? "");
  const shown = word && !/^\[sound:[^\]]*\]$/.test(word) ? word : note.fields.map(textOf).find(Boolean);
  return { kind, word: shortened(shown || "(empty)") };
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

/** Returns the lines that say what each media file is and where it came from, and what is missing and why. */
function drawParts(note) {
  const lines = [];
  for (const name of note.media) {
    const file = fileOf(name);
    if (!file) continue;
    const kind = { audio: "Sound", video: "Film", image: "Picture" }[file.type.split("/")[0]] ?? "File";
    const about = make("span", { class: "about", title: name }, `${bytes(file.bytes)}`);
    const said = make("dd", {});
    if (file.origin) {
      const { instance, provider, attribution, cost, made_at: made } = file.origin;
      const who = provider && provider !== instance ? `${instance} (${provider})` : instance;
      said.append(make("strong", {}, who), ` · ${[day(made), dollars(cost), attribution].filter(Boolean).join(" · ")} · `);
    }
    said.append(about);
    lines.push(make("div", {}, make("dt", {}, kind), said));
  }
  for (const { part, failed, reasons } of note.missing) {
    const whose = Object.entries(reasons);
    const label = Object.hasOwn(LABELS, part) ? `No ${LABELS[part]}` : "Missing file";
    const said = make("dd", {});
    if (!Object.hasOwn(LABELS, part)) said.append(make("strong", {}, shortened(part)), " ");
    if (failed && Object.hasOwn(LABELS, part)) said.append("This failed; build again with --retry-failed to have it asked for once more. ");
    for (const [instance, message] of whose) {
      said.append(make("span", { class: "reason" }, instance ? make("strong", {}, `${instance}: `) : null, message), " ");
    }
    if (!said.textContent) said.append("No provider has one that fits.");
    lines.push(make("div", { class: failed ? "missing failed" : "missing" }, make("dt", {}, label), said));
  }
  return lines.length ? make("dl", { class: "parts" }, ...lines) : null;
}

function drawNote(note, number) {
  const { kind, word } = labelOf(note);
  const language = note.fields[kind.fields.indexOf("Language")] || null;
  const heading = make("h2", { id: `note-${number}`, tabindex: "-1", dir: "auto", lang: language }, word);
  const decks = new Set(note.cards.map((card) => deck.decks[card[1]] ?? ""));
  const chips = [...(Object.keys(deck.decks).length > 1 ? decks : []), ...note.tags.split(" ")].filter(Boolean);
  const tags = chips.map((chip) => make("li", {}, chip.replaceAll("::", " › ")));
  return make(
    "article",
    { "aria-labelledby": heading.id },
    make("div", { class: "note-head" }, heading, tags.length ? make("ul", { class: "tags", "aria-label": "Tags" }, ...tags) : null),
    make("div", { class: "cards" }, ...note.cards.map((card) => drawCard(note, card, { kind, word }))),
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
  const found = query || only ? `${shown.length.toLocaleString("en")} of ${many(notes.length, "note")}` : many(notes.length, "note");
  say(found);
  nearby.disconnect();
  byId("notes-shown").replaceChildren();
  byId("none").hidden = shown.length > 0;
  drawn = 0;
  drawMore();
}

/** Draws the next notes, and returns the first of them. */
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

function say(text) {
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
    ...(cost ? [[dollars(cost), "paid for media"]] : []),
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
