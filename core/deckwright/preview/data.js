"use strict";
// Reads the deck, which is in this page as JSON, and its media files. What is here serves all scripts of the page.

const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent);
const deck = read("deck");
const notes = read("notes");

// How many notes are drawn at once.
const STEP = 40;
// One hundredth of the height of the screen that cards assume.
const SCREEN_VH = "4.6px";

/** Makes an element with attributes and children; strings become text nodes. */
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
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) [count, unit] = [count / 1000, unit + 1];
  return `${unit && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** Parses HTML in a separate document, which loads and runs nothing. */
function parsed(html) {
  // Otherwise the policy of this page would report everything that it blocks in the console.
  const quiet = html.replace(/<[a-z](?:"[^"]*"|'[^']*'|[^>"'])*/gi, (tag) =>
    tag.replace(/([\s"'/])on(?=[a-z]+\s*=)/gi, "$1data-on").replace(/^<(base|track)\b/i, "<wbr"),
  );
  return new DOMParser().parseFromString(quiet, "text/html").body;
}

// In a text area only entities are decoded. It is in a separate document, like everything that is parsed here.
const decoder = parsed("<textarea></textarea>").firstElementChild;

/** Returns HTML as text. */
function stripped(html) {
  const text = html.replace(/<!--[^]*?-->|<(script|style)\b[^]*?<\/\1>|<[^]*?>/gi, "");
  if (!text.includes("&")) return text;
  decoder.innerHTML = text;
  return decoder.value;
}

/** Returns HTML as one line of text. */
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

/** Returns an address within this page for a media file of the deck; null for any other. */
function addressOf(name) {
  const file = fileOf(name);
  if (!file) return null;
  if (!urls.has(file.block)) {
    const block = byId(file.block);
    const text = atob(block.textContent.slice(1, -1));
    const data = new Uint8Array(text.length);
    for (let index = 0; index < text.length; index++) data[index] = text.charCodeAt(index);
    urls.set(file.block, URL.createObjectURL(new Blob([data], { type: file.type })));
    block.textContent = ""; // it is in the blob now
  }
  return urls.get(file.block);
}

/** Returns the name of the media file to which an address in a card refers. */
function nameIn(address) {
  try {
    return decodeURIComponent(address.trim());
  } catch {
    return address.trim();
  }
}

/** Returns an address within this page that can replace an address in a card, or null. */
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
    // Another sound was started before this one: that is not an error.
    if (error.name !== "AbortError") announce(`This browser cannot play ${name}.`);
  });
}

byId("player").addEventListener("ended", () => playing?.classList.remove("playing"));
