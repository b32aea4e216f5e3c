/*
 * Reloads the page of an open call when the call has changed. Without JavaScript, the page reloads
 * every few seconds.
 */

const { status, etag, wait } = document.querySelector("[data-status]").dataset;

async function check() {
  if (document.hidden) return;
  const headers = { Accept: "application/json", "If-None-Match": etag };
  const answer = await fetch(status, { headers, cache: "no-store" }).catch(() => null);
  // If the user was logged out, the reload leads to the login page.
  if (answer && answer.status !== 304 && answer.status < 500) location.reload();
}

// A scheduled call is far off: the page that loads then knows how often to look.
if (wait > 60) setTimeout(() => location.reload(), wait * 1000);
else setInterval(check, wait * 1000);
document.addEventListener("visibilitychange", check);
