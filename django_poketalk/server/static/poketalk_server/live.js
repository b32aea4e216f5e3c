/*
 * Keeps a list of calls up to date while some of them are live: fetches the same page and takes its
 * rows, less often where nothing changes, never while the page is hidden or a row is being chosen.
 */

const SOON = 3000; // milliseconds
const SELDOM = 20000;
const LIVE = '.poketalk-state[data-state="live"]';

let table = document.querySelector("#result_list tbody");
let wait = SOON;

if (table?.querySelector(LIVE)) setTimeout(look, wait);

async function look() {
  const isBusy = document.hidden || table.querySelector("input.action-select:checked");
  const rows = isBusy ? null : await fetched().catch(() => null);
  if (rows && rows.innerHTML !== table.innerHTML) {
    table.replaceWith(rows);
    table = rows;
    wait = SOON;
  } else {
    wait = Math.min(wait * 1.5, SELDOM);
  }
  if (table.querySelector(LIVE)) setTimeout(look, wait);
}

function fetched() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", document.location.href);
    request.responseType = "document";
    request.timeout = 30000;
    request.onload = () => resolve(request.response?.querySelector("#result_list tbody") ?? null);
    request.onerror = request.ontimeout = reject;
    request.send();
  });
}
