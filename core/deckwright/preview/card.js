// Draws a card: renders its templates, and sanitises the result.

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
      if (!open.length || condition.test !== name) throw new BrokenTemplate(`{{${inside}}} has no matching start.`);
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

/** Hides or shows the gaps of a cloze field, from the inside out, because gaps can be nested. */
function cloze(value, card, only) {
  const innermost = /\{\{c(\d+)::((?:(?!\{\{c\d+::)[\s\S])*?)(?:::((?:(?!\{\{c\d+::|::)[\s\S])*?))?\}\}/;
  const gaps = [];
  let match;
  while ((match = innermost.exec(value))) {
    const [whole, number, content, hint] = match;
    let shown = `<span class="cloze-inactive" data-ordinal="${number}">${content}</span>`;
    if (Number(number) === card.template + 1) {
      gaps.push(content);
      shown = `<span class="cloze" data-ordinal="${number}">${card.isBack ? content : `[${hint ?? "..."}]`}</span>`;
    }
    value = value.slice(0, match.index) + shown + value.slice(match.index + whole.length);
  }
  return only ? gaps.join(", ") : gaps.length ? value : "";
}

/** Renders the parsed parts of a template for a card: {fields, template, isBack}. */
function render(parts, card) {
  const rendered = parts.map((part) => {
    if (typeof part === "string") return part;
    if ("test" in part) return isEmpty(part.test, card) === part.whenEmpty ? render(part.parts, card) : "";
    if (part.filters.some((filter) => filter.startsWith("tts"))) return ""; // spoken by the device
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
  if (gap && !Object.hasOwn(card.fields, name)) return Number(gap[1]) !== card.template + 1;
  return emptyField.test(Object.hasOwn(card.fields, name) ? card.fields[name] : "");
}

/** Returns the HTML of both sides of a card of a note. */
function sides(note, [number, deckId, cardId]) {
  const noteType = deck.noteTypes[note.type];
  const template = noteType.templates[noteType.is_cloze ? 0 : number];
  const name = Object.hasOwn(deck.decks, deckId) ? deck.decks[deckId] : "";
  // These are HTML, like the fields, as in Anki.
  const special = {
    Tags: note.tags,
    Type: noteType.name,
    Deck: name,
    Subdeck: name.split("::").pop(),
    Card: template.name,
    CardFlag: "",
    CardID: String(cardId),
    FrontSide: "",
  };
  const own = Object.fromEntries(noteType.fields.map((field, index) => [field, note.fields[index]]));
  const side = (text, isBack, more) => {
    try {
      return render(parse(text), { fields: { ...special, ...own, ...more }, template: number, isBack });
    } catch (error) {
      if (!(error instanceof BrokenTemplate)) throw error;
      return `<p>This template has an error. ${escapeText(error.message)}</p>`;
    }
  };
  const front = side(template.front, false, {});
  return { front, back: side(template.back, true, { FrontSide: front }), name: template.name };
}

// Sanitising the HTML and the style of a card. The policy in the head of this page already blocks all scripts and
// requests; this removes them.

const REMOVED_ELEMENTS =
  "script, iframe, frame, frameset, object, embed, applet, link, meta, base, template, noscript, portal, " +
  "animate, animateMotion, animateTransform, set, fencedframe, track";
const REMOVED_ATTRIBUTES = new Set(
  ("srcset sizes ping action formaction background poster srcdoc data codebase manifest autofocus autoplay target " +
    "accesskey contenteditable nonce popover popovertarget commandfor cite longdesc lowsrc dynsrc imagesrcset").split(" "),
);

function sanitised(html, context) {
  const body = parsed(html);
  const styles = [];
  for (const style of body.querySelectorAll("style")) {
    styles.push(style.textContent);
    style.remove();
  }
  for (const element of body.querySelectorAll(REMOVED_ELEMENTS)) element.remove();
  for (const form of body.querySelectorAll("form")) form.replaceWith(...form.childNodes);
  for (const element of body.querySelectorAll("*")) {
    const heading = /^h([1-6])$/i.exec(element.localName);
    const address = element.getAttribute("src");
    for (const { name, value } of [...element.attributes]) {
      const plain = name.toLowerCase();
      if (plain.startsWith("on") || REMOVED_ATTRIBUTES.has(plain) || /^(src|href|xlink:href)$/.test(plain)) {
        element.removeAttribute(name);
        const own = plain.endsWith("href") && (value.startsWith("#") ? value : inPage(value));
        if (own && element.localName !== "a") element.setAttribute(name, own);
        if (plain === "href" && element.localName === "a") element.setAttribute("title", value); // links do nothing here
      } else if (plain === "style" || /url\s*\(|\\/i.test(value)) {
        if (plain === "style" || element.namespaceURI.endsWith("svg")) element.setAttribute(name, sanitisedStyle(value));
      }
    }
    // A card is not a document within this page.
    if (heading) element.setAttribute("aria-level", Math.min(6, Number(heading[1]) + 3));
    if (/^(main|header|footer|nav|aside|search)$/.test(element.localName)) element.setAttribute("role", "none");
    if (Number(element.getAttribute("tabindex")) > 0) element.setAttribute("tabindex", "0");
    if (address !== null && /^(img|audio|video|source|input)$/.test(element.localName)) {
      setSource(element, address, context);
    }
  }
  addSounds(body, context);
  return { nodes: [...body.childNodes], styles };
}

/** Sets the source of a picture or another element to the file in the deck, or shows that it is missing. */
function setSource(element, address, context) {
  const own = inPage(address);
  if (own === null) {
    const isExternal = /^\s*([a-z][a-z0-9+.-]*:|\/\/)/i.test(address);
    const what = isExternal ? "Not in the deck" : "Missing";
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

/** Replaces each `[sound:...]` with a button. */
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
    return make("video", { controls: true, preload: "none", src: addressOf(name), "aria-label": `Video for ${context.word}` });
  }
  const label = `Play the sound of ${context.word}${index ? ` (${index + 1})` : ""}`;
  const button = make("button", { type: "button", class: "replay-button soundLink", "aria-label": label });
  button.innerHTML =
    '<svg class="playImage" viewBox="0 0 64 64" aria-hidden="true"><circle cx="32" cy="32" r="29"/>' +
    '<path d="M56.5,32.3l-37.5,20.1l0.3,-40.8l37.2,20.7Z"/></svg>';
  button.addEventListener("click", () => play(button, name));
  return button;
}

/** Returns a style without external addresses, with units relative to the card instead of the page. */
function sanitisedStyle(css) {
  return css
    .replace(/\\([0-9a-f]{1,6})\s?/gi, (whole, code) => {
      const letter = String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff));
      return /[a-z-]/i.test(letter) ? letter : whole; // an escaped letter
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

// Cards. Each side is in a shadow tree, so that the style of a deck only affects its cards. `dw-html` and `dw-body`
// represent the document and its body in Anki.

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
// Applied after the deck's own style, which must not override it.
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

/** Applies the rules for the document and its body to the elements that represent them. */
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
    const made = sheet(sanitisedStyle(css));
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

// A card whose content is too wide can be scrolled, also by keyboard.
const nearby = new IntersectionObserver(
  (entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      if (target.scrollWidth <= target.clientWidth && target.scrollHeight <= target.clientHeight) continue;
      target.tabIndex = 0;
      target.role = "group";
      target.ariaLabel = `${target.dataset.label}, scrollable`;
    }
  },
  { rootMargin: "1500px" },
);

function drawSide(html, side, card, context) {
  const host = make("div");
  const root = host.attachShadow({ mode: "open" });
  const { nodes, styles } = sanitised(html, context);
  const body = make("dw-body", { class: `card card${card[0] + 1}` }, make("div", { id: "qa" }, ...nodes));
  root.append(make("dw-html", {}, body));
  root.adoptedStyleSheets = [BASE, cardSheet(context.noteType.css), ...styles.map(cardSheet), LAST];
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
  const cardName = context.noteType.is_cloze ? `${name} ${card[0] + 1}` : name;
  const inCard = { ...context, cardName };
  return make(
    "div",
    { class: "card-sides" },
    make("h3", { dir: "auto" }, cardName),
    drawSide(front, "Front", card, inCard),
    drawSide(back, "Back", card, inCard),
  );
}
