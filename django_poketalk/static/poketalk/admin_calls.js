/*
 * Updates the rows of open calls in the list of calls, with one request for all of them. Requests are
 * less frequent if nothing changes, and stop while the page is hidden or once all calls have ended.
 * The list of calls in progress also gets the rows of new ones. All texts come from the server. The
 * end of a call is announced in a status region.
 */

// Milliseconds
const SOON = 2000; // until the next request after a change
const SELDOM = 15000; // the longest interval without changes
const RARELY = 60000; // the longest interval if the site does not respond
const TIMEOUT = 30000; // of a request
const SLOWER = 1.5; // the factor between two intervals
const MAX_NEWS = 3; // the most calls in one announcement

const status = document.querySelector("[data-poketalk-live]");
const rows = new Map();
let etag = "";
let wait = SOON;
let poll = 0;
let turn = 0;
let newest = Number(status?.dataset.poketalkNewest);
const follows = !Number.isNaN(newest); // the calls in progress, which new ones join

for (const mark of document.querySelectorAll("[data-poketalk-open=yes]")) {
  rows.set(mark.dataset.poketalkCall, mark.closest("tr"));
}
if (status && (rows.size || follows)) {
  for (const row of rows.values()) readClock(row);
  const ticking = setInterval(() => (rows.size || follows ? tick() : clearInterval(ticking)), 1000);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(poll);
    if (!document.hidden) {
      wait = SOON;
      update();
    }
  });
  schedule();
}

async function update() {
  const mine = ++turn;
  const answer = await load().catch(() => ({ lost: true }));
  if (mine !== turn) return; // there is a newer request
  if (answer.over) return; // logged out, or no longer allowed: leave the page unchanged
  if (answer.rows) {
    wait = SOON;
    showRows(answer.rows);
    if (answer.newest > newest) {
      newest = answer.newest;
      await addRows();
    }
  } else if (answer.lost) wait = Math.min(wait * 2, RARELY);
  else wait = Math.min(wait * SLOWER, SELDOM);
  schedule();
}

async function load() {
  const address = new URL(status.dataset.poketalkLive, document.baseURI);
  for (const key of rows.keys()) address.searchParams.append("id", key);
  if (follows) address.searchParams.set("newest", "");
  const headers = { Accept: "application/json" };
  if (etag) headers["If-None-Match"] = etag;
  const signal = AbortSignal.timeout(TIMEOUT);
  const response = await fetch(address, { headers, cache: "no-store", redirect: "manual", signal });
  if (response.status === 304) return {};
  if (response.status >= 500) return { lost: true };
  if (!response.headers.get("Content-Type")?.startsWith(headers.Accept)) return { over: true };
  const data = await response.json();
  etag = response.headers.get("ETag") ?? "";
  return { rows: data.rows, newest: data.newest };
}

/* The page as a document, which the browser parses, or null. */
function loadPage() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.timeout = TIMEOUT;
    request.addEventListener("loadend", () => resolve(request.response));
    request.send();
  });
}

/* Adds the rows of new calls above the others. An empty list has no table: the page loads again. */
async function addRows() {
  const fresh = await loadPage();
  const body = document.querySelector("#result_list tbody");
  if (!fresh?.querySelector("#result_list tbody")) return;
  if (!body) return location.reload();
  const added = [];
  for (const mark of fresh.querySelectorAll("#result_list [data-poketalk-open=yes]")) {
    const key = mark.dataset.poketalkCall;
    if (body.querySelector(`[data-poketalk-call="${key}"]`)) continue;
    const row = document.importNode(mark.closest("tr"), true);
    added.push(row);
    rows.set(key, row);
    readClock(row);
  }
  body.prepend(...added);
  etag = "";
}

function showRows(updates) {
  const news = [];
  for (const [key, row] of [...rows]) {
    const call = updates[key];
    if (call) showCall(row, call);
    if (call && !call.open) news.push(call.news);
    if (!call?.open) {
      rows.delete(key); // ended, or deleted
      etag = ""; // the next request is for other rows
    }
  }
  if (news.length) status.textContent = news.slice(0, MAX_NEWS).join(". ");
}

function showCall(row, call) {
  const pill = row.querySelector(".poketalk-pill");
  pill.dataset.phase = call.phase;
  write(pill, call.state);
  const why = row.querySelector("[data-poketalk=why]");
  write(why, call.why);
  why.title = call.why;
  write(row.querySelector("[data-poketalk=cost]"), call.cost);
  const length = row.querySelector("[data-poketalk=length]");
  write(length, call.length);
  delete length.dataset.since;
  if (call.seconds !== null) startClock(length, call.seconds);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function readClock(row) {
  const length = row.querySelector("[data-poketalk=length]");
  if (length.dataset.seconds) startClock(length, Number(length.dataset.seconds));
}

function startClock(element, seconds) {
  element.dataset.since = String(Date.now() - seconds * 1000);
}

function tick() {
  if (document.hidden) return;
  for (const row of rows.values()) {
    const length = row.querySelector("[data-poketalk=length]");
    if (!length.dataset.since) continue;
    const seconds = Math.max(0, Math.floor((Date.now() - Number(length.dataset.since)) / 1000));
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const parts = hours ? [hours, minutes, seconds % 60] : [minutes, seconds % 60];
    const [first, ...others] = parts.map(String);
    write(length, [first, ...others.map((part) => part.padStart(2, "0"))].join(":"));
  }
}

function schedule() {
  clearTimeout(poll);
  if ((rows.size || follows) && !document.hidden) poll = setTimeout(update, wait);
}
