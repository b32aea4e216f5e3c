/*
 * Updates a list of calls while it has a live one, or while it is filtered by live calls: fetches the
 * same page and replaces the rows. The interval grows while nothing changes. Pauses while the page is
 * hidden or a row is selected.
 */

const SHORTEST = 3000; // milliseconds
const LONGEST = 20000;
const LIVE = '.poketalk-state[data-state="live"]';

const isFiltered = ["now", "talking", "queued"].includes(new URLSearchParams(location.search).get("live"));

let table = document.querySelector("#result_list tbody");
let wait = SHORTEST;

if (isFiltered ? document.querySelector("#changelist-form") : table?.querySelector(LIVE)) setTimeout(update, wait);

async function update() {
  const isBusy = document.hidden || table?.querySelector("input.action-select:checked");
  const rows = isBusy ? null : await fetchRows().catch(() => null);
  if (!table) {
    if (rows) location.reload(); // the list was empty
  } else if (rows && rows.innerHTML !== table.innerHTML) {
    table.replaceWith(rows);
    table = rows;
    wait = SHORTEST;
  } else {
    wait = Math.min(wait * 1.5, LONGEST);
  }
  if (isFiltered || table.querySelector(LIVE)) setTimeout(update, wait);
}

function fetchRows() {
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
