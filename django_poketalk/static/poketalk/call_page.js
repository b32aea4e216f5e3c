/*
 * Reloads the page of an open call when the call has changed. While the user writes into the form for
 * the wrap-up, replaces the other parts of the page instead, so that nothing that was written is lost.
 * Without JavaScript, the page reloads every few seconds, so the form is hidden until this script runs.
 */

const TIMEOUT = 30000; // of a request, in milliseconds

const state = document.querySelector("[data-status]");
const form = document.querySelector("#wrap-up form");
const unwritten = written();
let timer = 0;
let isLoading = false;

function written() {
  return form ? new URLSearchParams(new FormData(form)).toString() : "";
}

function isWriting() {
  return form !== null && (form.contains(document.activeElement) || written() !== unwritten);
}

async function check() {
  const { status, etag } = state.dataset;
  if (document.hidden || isLoading || !status) return;
  const headers = { Accept: "application/json", "If-None-Match": etag };
  const answer = await fetch(status, { headers, cache: "no-store" }).catch(() => null);
  if (!answer || answer.status === 304 || answer.status >= 500) return;
  // If the user was logged out, the reload leads to the login page.
  if (isWriting()) update();
  else location.reload();
}

/* Replaces the parts of the page around the form. */
function update() {
  isLoading = true;
  const request = new XMLHttpRequest();
  request.open("GET", state.dataset.page);
  request.responseType = "document"; // the browser parses it, also under trusted types
  request.timeout = TIMEOUT;
  request.addEventListener("loadend", () => {
    isLoading = false;
    if (request.status === 200 && request.response) replaceParts(request.response);
    schedule();
  });
  request.send();
}

function replaceParts(fresh) {
  for (const old of document.querySelectorAll("[data-part]")) {
    const part = fresh.querySelector(`[data-part=${old.dataset.part}]`);
    if (!part || old.isEqualNode(part)) continue; // no part: the login page
    const hadFocus = old.contains(document.activeElement);
    for (const name of old.getAttributeNames()) old.removeAttribute(name);
    for (const name of part.getAttributeNames()) old.setAttribute(name, part.getAttribute(name));
    old.replaceChildren(...document.importNode(part, true).childNodes);
    if (hadFocus) {
      state.tabIndex = -1;
      state.focus({ preventScroll: true });
    }
  }
}

function schedule() {
  clearInterval(timer);
  const wait = Number(state.dataset.wait); // seconds; none once the call has ended
  if (!wait) return;
  // A scheduled call is far off: the page that loads then knows how often to look.
  if (wait > 60) timer = setTimeout(() => (isWriting() ? update() : location.reload()), wait * 1000);
  else timer = setInterval(check, wait * 1000);
}

/* Hangs up without leaving the page, if that would lose what the user has written. */
async function hangUp(button) {
  const body = new URLSearchParams(new FormData(button));
  const headers = { Accept: "application/json" };
  const answer = await fetch(button.action, { method: "POST", body, headers }).catch(() => null);
  if (answer?.ok) update();
  else button.submit();
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-hang-up]") || !isWriting()) return;
  event.preventDefault();
  hangUp(event.target);
});
if (form) form.hidden = false;
document.addEventListener("visibilitychange", check);
document.addEventListener("poketalk-ended", check); // another part of the page knows it already
schedule();
