// What pages do beyond what HTML does by itself. Without it they still work.
"use strict";

const byId = (id) => document.getElementById(id);

// Theme: kept in a cookie, so that the server can render it and nothing flashes.
const theme = byId("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; SameSite=Strict`;
});

// Copy a command.
function prepare() {
  for (const button of document.querySelectorAll(".copy")) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
}
prepare();

// Evidence points into a stage: open it, and put the focus there.
function reveal() {
  const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
  if (target.hasAttribute("tabindex")) target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", reveal);
reveal();

// The list: filters act as one types, and rows come by themselves. Focus and scroll stay where they are.
const form = byId("filters");
const live = byId("live");
let stream = null;

function say(words, lost) {
  live.hidden = !words;
  live.textContent = words;
  live.classList.toggle("lost", lost);
}

function update(body, { ids, rows }) {
  const before = document.activeElement;
  const focused = body.contains(before) ? [before.closest("tr").id, before.getAttribute("href")] : null;
  const holder = document.createElement("tbody");
  for (const [id, html] of Object.entries(rows)) {
    holder.innerHTML = html;
    const row = holder.firstElementChild;
    const old = byId(`s-${id}`);
    if (old && old.innerHTML === row.innerHTML) continue; // told again, and nothing that is shown has changed
    row.classList.add("fresh");
    if (old) old.replaceWith(row);
    else body.prepend(row);
  }
  const wanted = new Set(ids.map((id) => `s-${id}`));
  for (const row of [...body.rows]) if (!wanted.has(row.id)) row.remove();
  ids.forEach((id, place) => {
    const row = byId(`s-${id}`);
    if (row && body.rows[place] !== row) body.insertBefore(row, body.rows[place] || null);
  });
  if (focused) {
    const row = byId(focused[0]);
    const link = row && [...row.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused[1]);
    if (link && link !== document.activeElement) link.focus({ preventScroll: true });
  }
}

function listen() {
  if (stream) stream.close();
  stream = null;
  const list = byId("list");
  const address = list.dataset.live;
  if (!address) return say("", false);
  stream = new EventSource(`${address}${address.includes("?") ? "&" : "?"}revision=${list.dataset.revision}`);
  stream.onopen = () => say("Live", false);
  stream.onerror = () => say("Not live: no connection", true);
  stream.onmessage = (message) => {
    const news = JSON.parse(message.data);
    const body = byId("list").querySelector("tbody");
    if (body && news.ids.length) update(body, news);
    else if (Boolean(body) !== Boolean(news.ids.length)) load(location.href, false);
    byId("list").dataset.revision = message.lastEventId;
  };
}

// A sign-in that is under way: look again until it is over. What is open stays open, the focus where it is.
const main = byId("main");
const idOf = (element) => element.closest("[id]").id;
const openOnes = () => [...main.querySelectorAll("details[open]")].map(idOf);

async function watch() {
  const answer = await fetch(location.href).catch(() => null);
  if (answer && answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    if (page.innerHTML !== watched) {
      watched = page.innerHTML;
      const open = new Set(openOnes());
      const focused = main.contains(document.activeElement) ? idOf(document.activeElement) : "";
      main.replaceChildren(...page.childNodes);
      for (const one of main.querySelectorAll("details")) if (open.has(idOf(one))) one.open = true;
      const again = focused && focused !== "main" && byId(focused);
      if (again) (again.querySelector("summary") || again).focus({ preventScroll: true });
      prepare();
    }
  }
  if (main.querySelector("[data-open]")) setTimeout(watch, 1000);
}

let watched = "";
if (main.querySelector("[data-open]")) setTimeout(watch, 1000);

let latest = 0;
async function load(address, remember) {
  const mine = ++latest;
  const answer = await fetch(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== latest) return; // something newer was typed meanwhile
  byId("list").replaceWith(page.getElementById("list"));
  if (remember) history.replaceState(null, "", address);
  listen();
}

if (form) {
  let timer = 0;
  const apply = () => {
    const set = [...new FormData(form)].filter(([, value]) => value.trim());
    const query = new URLSearchParams(set).toString();
    load(query ? `/signins?${query}` : "/signins", true);
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 250);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    apply();
  });
  addEventListener("pagehide", () => stream && stream.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  listen();
}
