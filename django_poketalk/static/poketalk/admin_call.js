/*
 * Updates the page of an open call in the admin: fetches the page's fragment and replaces the parts
 * that have changed, so that focus, scroll positions and collapsed sections are kept.
 *
 * All markup and texts come from the server. Only the state is a live region for screen readers.
 */

// Milliseconds
const SOON = 1500; // until the next request after a change
const SELDOM = 8000; // the longest interval without changes
const RARELY = 30000; // the longest interval if the site does not respond
const TIMEOUT = 30000; // of a request
const LONGEST = 3600000; // between two requests for a call that is scheduled for later
const SLOWER = 1.5; // the factor between two intervals

const page = document.getElementById("poketalk-live");
let etag = "";
let wait = SOON;
let timer = 0;
let isOpen = page?.querySelector("[data-part=actions]")?.dataset.open === "true";

/* The response's status, and its body as a document, which the browser parses. */
function load() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", page.dataset.url);
    request.responseType = "document";
    request.timeout = TIMEOUT;
    if (etag) request.setRequestHeader("If-None-Match", etag);
    request.addEventListener("loadend", () =>
      resolve({
        status: request.status,
        fragment: request.status === 200 ? request.response : null,
        etag: request.getResponseHeader("ETag") ?? "",
      }),
    );
    request.send();
  });
}

function part(root, name) {
  return root.querySelector(`[data-part=${name}]`);
}

function replaceParts(fragment) {
  for (const old of page.querySelectorAll("[data-part]")) {
    const fresh = part(fragment, old.dataset.part);
    if (!fresh || old.isEqualNode(fresh)) continue;
    const focused = old.contains(document.activeElement) && document.activeElement !== old;
    const id = document.activeElement?.id;
    old.replaceChildren(...document.importNode(fresh, true).childNodes);
    Object.assign(old.dataset, fresh.dataset);
    if (focused) (document.getElementById(id || "-") ?? part(page, "state")).focus({ preventScroll: true });
  }
  isOpen = part(page, "actions").dataset.open === "true";
}

function showError(sentence) {
  const state = part(page, "state");
  let error = state.querySelector(".poketalk-lost");
  if (!error) {
    error = document.createElement("span");
    error.className = "poketalk-lost";
    state.append(" ", error);
  }
  if (error.textContent !== sentence) error.textContent = sentence;
}

async function update() {
  const answer = await load();
  if (answer.status === 304) {
    part(page, "state").querySelector(".poketalk-lost")?.remove();
    wait = Math.min(wait * SLOWER, SELDOM);
  } else if (answer.fragment && part(answer.fragment, "actions")) {
    etag = answer.etag;
    replaceParts(answer.fragment);
    wait = SOON;
  } else if (answer.status === 0 || answer.status >= 500) {
    showError(page.dataset.lost);
    wait = Math.min(wait * 2, RARELY);
  } else {
    showError(page.dataset.stale); // logged out, or the call was deleted
    return;
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  // Until shortly before a scheduled call is due, there is nothing to see.
  const untilDue = Math.min(1000 * part(page, "actions")?.dataset.next, LONGEST);
  if (isOpen && !document.hidden) timer = setTimeout(update, Math.max(wait, untilDue));
}

document.addEventListener("visibilitychange", () => {
  wait = SOON;
  schedule();
});
schedule();
