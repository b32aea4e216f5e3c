/*
 * A call's page in the admin, while the call is live: asks for the page's fragment again and swaps
 * what has changed in it, part by part, so that focus, scrolling and what is folded stay.
 *
 * All markup and words are the server's. Only the state is a live region: the rest is not read out.
 */

const SOON = 1500; // milliseconds until the next look, where something has just changed
const SELDOM = 8000; // at most, where nothing changes
const RARELY = 30000; // at most, where the site does not answer
const SLOWER = 1.5;
const PATIENCE = 30000; // for one answer

const page = document.getElementById("poketalk-live");
let etag = "";
let wait = SOON;
let timer = 0;
let isOpen = page?.querySelector("[data-part=actions]")?.dataset.open === "true";

/* The answer's status, and the document that it is: parsed by the browser, never by string. */
function ask() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", page.dataset.url);
    request.responseType = "document";
    request.timeout = PATIENCE;
    if (etag) request.setRequestHeader("If-None-Match", etag);
    request.addEventListener("loadend", () =>
      resolve({
        status: request.status,
        told: request.status === 200 ? request.response : null,
        etag: request.getResponseHeader("ETag") ?? "",
      }),
    );
    request.send();
  });
}

function part(root, name) {
  return root.querySelector(`[data-part=${name}]`);
}

function swap(told) {
  for (const old of page.querySelectorAll("[data-part]")) {
    const fresh = part(told, old.dataset.part);
    if (!fresh || old.isEqualNode(fresh)) continue;
    const focused = old.contains(document.activeElement) && document.activeElement !== old;
    const id = document.activeElement?.id;
    old.replaceChildren(...document.importNode(fresh, true).childNodes);
    Object.assign(old.dataset, fresh.dataset);
    if (focused) (document.getElementById(id || "-") ?? part(page, "state")).focus({ preventScroll: true });
  }
  isOpen = part(page, "actions").dataset.open === "true";
}

function complain(sentence) {
  const state = part(page, "state");
  let said = state.querySelector(".poketalk-lost");
  if (!said) {
    said = document.createElement("span");
    said.className = "poketalk-lost";
    state.append(" ", said);
  }
  if (said.textContent !== sentence) said.textContent = sentence;
}

async function look() {
  const answer = await ask();
  if (answer.status === 304) {
    part(page, "state").querySelector(".poketalk-lost")?.remove();
    wait = Math.min(wait * SLOWER, SELDOM);
  } else if (answer.told && part(answer.told, "actions")) {
    etag = answer.etag;
    swap(answer.told);
    wait = SOON;
  } else if (answer.status === 0 || answer.status >= 500) {
    complain(page.dataset.lost);
    wait = Math.min(wait * 2, RARELY);
  } else {
    complain(page.dataset.stale); // logged out, or the call is gone
    return;
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (isOpen && !document.hidden) timer = setTimeout(look, wait);
}

document.addEventListener("visibilitychange", () => {
  wait = SOON;
  schedule();
});
schedule();
