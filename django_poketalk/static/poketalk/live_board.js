/*
 * Keeps a live board up to date: new calls appear, ended ones leave, clocks tick. Asks every 2 seconds
 * whether anything has changed, but not while the page is hidden. All markup and texts come from the
 * server. Each half of the project has a copy of this file, since each works alone.
 */

// Milliseconds
const EVERY = 2000; // between two requests
const RARELY = 30000; // the longest interval if the site does not respond
const TIMEOUT = 20000; // of a request

for (const board of document.querySelectorAll("[data-poketalk-board]")) follow(board);

function follow(board) {
  const error = board.querySelector("[role=alert]");
  let etag = "";
  let wait = EVERY;
  let timer = 0;
  let turn = 0;
  let isOver = false;

  async function update() {
    clearTimeout(timer);
    const mine = ++turn;
    const answer = await load(board.dataset.poketalkBoard, etag);
    if (mine !== turn || isOver) return; // there is a newer request
    if (answer.fragment) {
      etag = answer.etag;
      replaceParts(board, answer.fragment);
    }
    if (answer.fragment || answer.status === 304) {
      wait = EVERY;
      write(error, "");
    } else if (answer.status === 0 || answer.status >= 500) {
      wait = Math.min(wait * 2, RARELY);
      write(error, board.dataset.lost);
    } else {
      isOver = true; // logged out, or no longer allowed
      write(error, board.dataset.stale);
    }
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (!isOver && !document.hidden) timer = setTimeout(update, wait);
  }

  board.addEventListener("click", (event) => {
    const button = event.target.closest("button[formaction]");
    if (!button) return;
    event.preventDefault();
    button.disabled = true;
    const body = new FormData(button.form);
    const headers = { Accept: "application/json" };
    fetch(button.getAttribute("formaction"), { method: "POST", body, headers, redirect: "manual" })
      .catch(() => {})
      .finally(() => {
        button.disabled = false;
        etag = "";
        update();
      });
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && !isOver) update();
  });
  setInterval(() => document.hidden || tick(board), 1000);
  board.dataset.following = "";
  startClocks(board);
  schedule();
}

/* The response's status, and its body as a document, which the browser parses. */
function load(address, etag) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = TIMEOUT;
    if (etag) request.setRequestHeader("If-None-Match", etag);
    request.addEventListener("loadend", () => {
      const isBoard = request.status === 200 && request.response?.querySelector("[data-part=rows]");
      resolve({
        status: request.status,
        fragment: isBoard ? request.response : null,
        etag: request.getResponseHeader("ETag") ?? "",
      });
    });
    request.send();
  });
}

function replaceParts(board, fragment) {
  startClocks(fragment);
  for (const part of board.querySelectorAll("[data-part]")) {
    const fresh = fragment.querySelector(`[data-part=${part.dataset.part}]`);
    if (!fresh) continue;
    if (part.dataset.part === "rows") replaceRows(board, part, fresh);
    else if (part.textContent !== fresh.textContent) replaceContents(part, fresh);
  }
  tick(board);
}

/* Keeps the rows and cells that have not changed, and so the focus. */
function replaceRows(board, rows, fresh) {
  const before = new Map([...rows.children].map((row) => [row.dataset.key, row]));
  const after = new Set([...fresh.children].map((row) => row.dataset.key));
  for (const [key, row] of before) {
    if (after.has(key)) continue;
    const hadFocus = row.contains(document.activeElement);
    row.remove();
    if (hadFocus) board.querySelector("[data-part=count]").focus();
  }
  let place = rows.firstElementChild;
  for (const row of [...fresh.children]) {
    const old = before.get(row.dataset.key);
    if (!old) rows.insertBefore(document.importNode(row, true), place);
    else {
      replaceCells(old, row);
      place = old.nextElementSibling;
    }
  }
}

function replaceCells(row, fresh) {
  [...fresh.children].forEach((cell, index) => {
    const old = row.children[index];
    const clock = old.querySelector("[data-since]");
    const newClock = cell.querySelector("[data-since]");
    if (clock && newClock) clock.dataset.since = newClock.dataset.since;
    else if (!old.isEqualNode(cell)) replaceContents(old, cell);
  });
}

function replaceContents(old, fresh) {
  old.replaceChildren(...document.importNode(fresh, true).childNodes);
}

function startClocks(root) {
  for (const clock of root.querySelectorAll("[data-seconds]")) {
    clock.dataset.since = String(Date.now() - Number(clock.dataset.seconds) * 1000);
    delete clock.dataset.seconds;
  }
}

function tick(board) {
  for (const clock of board.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - Number(clock.dataset.since)) / 1000));
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const [first, ...others] = hours ? [hours, minutes, seconds % 60] : [minutes, seconds % 60];
    write(clock, [first, ...others.map((part) => String(part).padStart(2, "0"))].join(":"));
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
