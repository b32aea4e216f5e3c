/*
 * The user's open calls, as all tabs of this browser know them. What one tab learns of a call, it
 * tells the others by a BroadcastChannel. Calls that no button of this tab follows are polled, and
 * paused while the tab is hidden. Dispatches `change` for each news of a call, whose `detail` is
 * the call and the `source` that knew it; and `poketalk-ended` on the document when a call ends.
 */

// Milliseconds
const SOON = 1000; // until the next request for an open call after a change
const FOLLOW = 2000; // the longest interval for an open call, and for new ones without a channel
const IDLE = 20000; // between requests for calls of other browsers
const LOST = 30000; // if the site does not respond
const TIMEOUT = 30000; // of a request
const SLOWER = 1.5;

class OpenCalls extends EventTarget {
  #calls = new Map(); // by id: the call, its ETag, and the element that follows it
  #channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("poketalk") : null;
  #current = ""; // the URL of the user's open calls
  #etag = "";
  #isWatching = false; // whether calls of other browsers are wanted, too
  #timer = 0;
  #wait = SOON;

  constructor() {
    super();
    this.#channel?.addEventListener("message", ({ data }) => this.#learn(data, null));
    document.addEventListener("visibilitychange", () => this.#wake());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#wake());
  }

  get all() {
    return [...this.#calls.values()].map(({ call }) => call);
  }

  /* Starts with the calls that the page has, and follows them. `isWatching`: new ones, too. */
  follow(current, calls, isWatching) {
    this.#current = current;
    this.#isWatching ||= isWatching || !this.#channel;
    for (const call of calls) this.#learn(call, null);
    this.#schedule();
  }

  /* News of a call, from the element that follows it, for everybody else. */
  report(call, source) {
    const full = { ...this.#calls.get(call.id)?.call, ...call };
    this.#channel?.postMessage(full);
    this.#learn(full, source);
  }

  /* A call that the page already had, and that this element follows. */
  adopt(call, source) {
    this.#learn(call, source);
  }

  #learn(call, source) {
    const known = this.#calls.get(call.id);
    if (call.open) {
      const owner = source ?? (known?.owner?.isConnected ? known.owner : null);
      this.#calls.set(call.id, { call: { ...known?.call, ...call }, etag: "", owner });
    } else {
      this.#calls.delete(call.id);
    }
    const detail = { call: { ...known?.call, ...call }, source };
    this.dispatchEvent(new CustomEvent("change", { detail }));
    if (!call.open && known) {
      document.dispatchEvent(new CustomEvent("poketalk-ended", { detail: detail.call }));
    } else if (call.open && !known) {
      document.dispatchEvent(new CustomEvent("poketalk-started", { detail: detail.call }));
    }
    this.#wait = SOON;
    this.#schedule();
  }

  #wake() {
    this.#wait = SOON;
    if (document.hidden) clearTimeout(this.#timer);
    else if (this.#calls.size || this.#isWatching) this.#poll();
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    const wait = this.#pause;
    if (wait) this.#timer = setTimeout(() => this.#poll(), wait);
  }

  get #pause() {
    if (this.#unowned.length) return this.#wait;
    if (!this.#isWatching || !this.#current) return 0;
    return this.#channel ? Math.max(IDLE, this.#wait) : Math.max(FOLLOW, this.#wait);
  }

  get #unowned() {
    return [...this.#calls.values()].filter(({ owner }) => !owner?.isConnected);
  }

  async #poll() {
    clearTimeout(this.#timer);
    this.#wait = Math.min(this.#wait * SLOWER, FOLLOW);
    try {
      const unowned = this.#unowned;
      if (unowned.length) await Promise.all(unowned.map((each) => this.#refresh(each)));
      else await this.#discover();
    } catch {
      this.#wait = LOST;
    }
    this.#schedule();
  }

  async #refresh(record) {
    const answer = await get(record.call.status_url, record.etag);
    if (answer.unchanged) return;
    const gone = { ...record.call, open: false, may_hang_up: false, sentence: "" };
    const call = answer.data?.id ? answer.data : gone; // logged out, or deleted
    if (answer.status === 401) this.#isWatching = false;
    this.report({ ...record.call, ...call }, null);
    const known = this.#calls.get(record.call.id);
    if (known) known.etag = answer.etag;
  }

  async #discover() {
    const answer = await get(this.#current, this.#etag);
    if (answer.status === 401) this.#isWatching = false;
    this.#etag = answer.etag ?? this.#etag;
    for (const call of answer.data?.calls ?? []) {
      if (!this.#calls.has(call.id)) this.report(call, null);
    }
  }
}

/* The response's status, its ETag and its JSON. Throws if the site does not respond. */
async function get(url, etag) {
  const headers = { Accept: "application/json" };
  if (etag) headers["If-None-Match"] = etag;
  const signal = AbortSignal.timeout(TIMEOUT);
  const response = await fetch(url, { headers, cache: "no-store", signal });
  if (response.status >= 500) throw new Error(response.statusText);
  if (response.status === 304) return { unchanged: true, status: 304 };
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  const data = isJson ? await response.json() : null;
  return { status: response.status, etag: response.headers.get("ETag") ?? "", data };
}

export const openCalls = new OpenCalls();
