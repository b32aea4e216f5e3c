/*
 * The page of a call that is going on: loads itself again once there is something new. Where no script
 * runs, it does so every few seconds.
 */

const { status, etag, wait } = document.querySelector("[data-status]").dataset;

async function look() {
  if (document.hidden) return;
  const headers = { Accept: "application/json", "If-None-Match": etag };
  const answer = await fetch(status, { headers, cache: "no-store" }).catch(() => null);
  // Also to the login, for whoever is logged out by now.
  if (answer && answer.status !== 304 && answer.status < 500) location.reload();
}

setInterval(look, wait * 1000);
