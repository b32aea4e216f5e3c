/*
 * Asks for the result of a call beside its button when the call has ended. `call.js` loads this module
 * when there is something to ask. The questions and all texts come from the server.
 *
 * The keys 1 to 9 choose a result while the questions have the focus. They take it only from the
 * button of the call, never from another part of the page.
 */

const PANEL = ".poketalk-wrap-up";

/* Shows the questions from this URL inside the element of the button. */
export async function ask(button, url) {
  if (button.querySelector(PANEL)?.dataset.save === url) return;
  const page = await load(url);
  const panel = page?.querySelector(PANEL);
  const old = button.querySelector(PANEL);
  if (!panel || old?.dataset.save === url || button.getAttribute("phase") === "calling") return;
  old?.remove();
  const style = page.querySelector("link[rel=stylesheet]");
  if (style && !document.querySelector(`link[href="${style.getAttribute("href")}"]`)) document.head.append(style);
  const focused = button.contains(document.activeElement);
  button.append(panel);
  panel.addEventListener("click", (event) => press(panel, event.target.closest("button")));
  panel.addEventListener("keydown", (event) => key(panel, event));
  panel.addEventListener("input", (event) => event.target.toggleAttribute("data-changed", true));
  button.addEventListener("poketalk-change", ({ detail }) => detail.open && panel.remove());
  if (focused) panel.focus();
}

/* The page at this URL as a document, or null. The browser parses it, also under trusted types. */
function load(url) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.addEventListener("loadend", () => resolve(request.status === 200 ? request.response : null));
    request.send();
  });
}

function key(panel, event) {
  const types = event.target.matches("input");
  if (event.key === "Escape") close(panel);
  else if (event.key === "Enter" && types) save(panel, {});
  else if (!types && !event.ctrlKey && !event.metaKey && !event.altKey && /^[1-9]$/.test(event.key)) {
    panel.querySelectorAll(".poketalk-results button")[event.key - 1]?.click();
  } else return;
  event.preventDefault();
}

function press(panel, button) {
  if (!button) return;
  const name = button.dataset.part;
  if (name === "close") close(panel);
  else if (name === "change") show(panel, "", true);
  else if (name === "retry") send(panel, panel.dataset.retry, {});
  else if (name === "save") save(panel, {});
  else save(panel, { disposition: button.value });
}

/* Sends only what the user has changed: a field of one line cannot hold a note of several. */
function save(panel, more) {
  const fields = [...panel.querySelectorAll("[data-changed]")].map((each) => [each.dataset.name, each.value]);
  return send(panel, panel.dataset.save, { ...Object.fromEntries(fields), ...more });
}

async function send(panel, url, fields) {
  const body = new URLSearchParams({ ...fields, csrfmiddlewaretoken: panel.dataset.token });
  const options = { method: "POST", body, headers: { Accept: "application/json" } };
  const answer = await fetch(url, options).then((each) => each.json()).catch(() => ({}));
  const isSaved = Boolean(answer.sentence);
  show(panel, answer.sentence ?? answer.errors ?? panel.dataset.failed, !isSaved);
}

/* Shows a sentence, with the questions or instead of them. */
function show(panel, sentence, withQuestions) {
  const had = panel.contains(document.activeElement);
  part(panel, "questions").hidden = !withQuestions;
  part(panel, "change").hidden = withQuestions;
  part(panel, "sentence").textContent = sentence;
  if (had && !withQuestions) back(panel);
}

function close(panel) {
  if (panel.contains(document.activeElement)) back(panel);
  panel.remove();
}

/* Returns the focus to the call's button, which places the next call. */
function back(panel) {
  panel.closest("poketalk-call")?.querySelector("[type=submit]")?.focus();
}

function part(panel, name) {
  return panel.querySelector(`[data-part=${name}]`);
}
