/*
 * Follows a test call on its page until it ends: fetches the same page and replaces the facts.
 * Without a script, the page reloads instead.
 */

const EVERY = 1500; // milliseconds
const SLOWEST = 15000; // if the site does not respond
const FACTS = "#testcall_form fieldset";
const LIVE = `${FACTS} .poketalk-state[data-state="live"]`;

let wait = EVERY;

if (document.querySelector(LIVE)) setTimeout(update, wait);

async function update() {
  const fresh = document.hidden ? null : await load().catch(() => undefined);
  const facts = document.querySelector(FACTS);
  if (fresh && fresh.innerHTML !== facts.innerHTML) {
    facts.setAttribute("aria-live", "polite");
    facts.replaceChildren(...document.importNode(fresh, true).childNodes);
  }
  wait = fresh === undefined ? Math.min(wait * 2, SLOWEST) : EVERY;
  if (document.querySelector(LIVE)) setTimeout(update, wait);
}

/* The facts of the page as it is now. */
function load() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", document.location.href);
    request.responseType = "document";
    request.timeout = 30000;
    request.onload = () => {
      const facts = request.response?.querySelector(FACTS);
      return facts ? resolve(facts) : reject(new Error(`${request.status}`));
    };
    request.onerror = request.ontimeout = reject;
    request.send();
  });
}
