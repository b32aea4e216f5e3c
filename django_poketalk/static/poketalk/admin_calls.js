/*
 * Keeps the live rows of the list of calls up to date: one request for all of them, less often where
 * nothing changes, none while the page is hidden or once all calls are over. All words are the
 * server's. What ends is told in a status region, once; the rest only changes in its place.
 */

const SOON = 2000; // milliseconds until the next look, where something has just changed
const SELDOM = 15000; // at most, where nothing changes
const RARELY = 60000; // at most, where the site does not answer
const SLOWER = 1.5;
const PATIENCE = 30000; // for one answer
const MOST_NEWS = 3; // calls that one announcement tells of

const status = document.querySelector("[data-poketalk-live]");
const rows = new Map();
let etag = "";
let wait = SOON;
let poll = 0;
let turn = 0;

for (const mark of document.querySelectorAll("[data-poketalk-open=yes]")) {
  rows.set(mark.dataset.poketalkCall, mark.closest("tr"));
}
if (status && rows.size) {
  for (const row of rows.values()) {
    const length = row.querySelector("[data-poketalk=length]");
    if (length.dataset.seconds) startClock(length, Number(length.dataset.seconds));
  }
  const ticking = setInterval(() => (rows.size ? tick() : clearInterval(ticking)), 1000);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(poll);
    if (!document.hidden) {
      wait = SOON;
      look();
    }
  });
  schedule();
}

async function look() {
  const mine = ++turn;
  const answer = await ask().catch(() => ({ lost: true }));
  if (mine !== turn) return; // a later one is on its way
  if (answer.over) return; // logged out, or not allowed any more: the page stays as it is
  if (answer.rows) {
    wait = SOON;
    show(answer.rows);
  } else if (answer.lost) wait = Math.min(wait * 2, RARELY);
  else wait = Math.min(wait * SLOWER, SELDOM);
  schedule();
}

async function ask() {
  const address = new URL(status.dataset.poketalkLive, document.baseURI);
  for (const key of rows.keys()) address.searchParams.append("id", key);
  const headers = { Accept: "application/json" };
  if (etag) headers["If-None-Match"] = etag;
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(address, { headers, cache: "no-store", redirect: "manual", signal });
  if (response.status === 304) return {};
  if (response.status >= 500) return { lost: true };
  if (!response.headers.get("Content-Type")?.startsWith(headers.Accept)) return { over: true };
  const told = await response.json();
  etag = response.headers.get("ETag") ?? "";
  return { rows: told.rows };
}

function show(told) {
  const news = [];
  for (const [key, row] of [...rows]) {
    const call = told[key];
    if (call) showCall(row, call);
    if (call && !call.open) news.push(call.news);
    if (!call?.open) {
      rows.delete(key); // over, or deleted
      etag = ""; // the next question is another one
    }
  }
  if (news.length) status.textContent = news.slice(0, MOST_NEWS).join(". ");
}

function showCall(row, call) {
  const pill = row.querySelector(".poketalk-pill");
  pill.dataset.phase = call.phase;
  write(pill, call.state);
  write(row.querySelector("[data-poketalk=why]"), call.why);
  write(row.querySelector("[data-poketalk=cost]"), call.cost);
  const length = row.querySelector("[data-poketalk=length]");
  write(length, call.length);
  delete length.dataset.since;
  if (call.seconds !== null) startClock(length, call.seconds);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
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
  if (rows.size && !document.hidden) poll = setTimeout(look, wait);
}
