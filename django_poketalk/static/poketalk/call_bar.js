/*
 * <poketalk-call-bar>: the user's open call, on every page. Follows the calls of all tabs, and says
 * in the page's title and icon that a call is open. Without this script, the bar is a link and a
 * form that hangs up.
 */

import { Figures } from "./call_figures.js";
import { openCalls } from "./open_calls.js";

// Milliseconds
const ENDED = 15000; // how long the end of a call is displayed
const TIMEOUT = 30000; // of a request

class PoketalkCallBar extends HTMLElement {
  #call = null;
  #figures = new Figures();
  #tick = 0;
  #hide = 0;
  #title = null; // of the page, and what it is while a call is open
  #icons = null;

  connectedCallback() {
    openCalls.addEventListener("change", this);
    this.addEventListener("submit", this);
    openCalls.follow(this.getAttribute("current"), JSON.parse(this.getAttribute("calls")), true);
  }

  disconnectedCallback() {
    openCalls.removeEventListener("change", this);
    this.removeEventListener("submit", this);
    clearInterval(this.#tick);
    this.#restorePage();
  }

  handleEvent(event) {
    if (event.type === "submit") {
      event.preventDefault();
      this.#hangUp();
      return;
    }
    const { call } = event.detail;
    if (call.open || call.id === this.#call?.id) this.#show(call);
    const other = openCalls.all[0];
    if (!call.open && other) this.#show(other);
  }

  #show(call) {
    this.#call = call;
    this.#figures = new Figures(call, this.#texts.next_report);
    clearTimeout(this.#hide);
    if (!call.open) this.#hide = setTimeout(() => this.#close(), ENDED);
    const bar = this.querySelector("section");
    const hadFocus = bar.contains(document.activeElement);
    bar.dataset.phase = call.phase;
    bar.hidden = !call.open && !call.sentence;
    const link = this.#part("link");
    if (call.link) link.href = call.link.url;
    if (link.textContent !== call.callee) link.textContent = call.callee;
    this.#say(call.sentence);
    this.#part("hang-up").hidden = !call.may_hang_up;
    if (hadFocus && !call.may_hang_up && !bar.hidden) link.focus();
    clearInterval(this.#tick);
    this.#showFigures();
    if (this.#figures.areTicking) this.#tick = setInterval(() => this.#showFigures(), 1000);
    if (call.open) this.#markPage(call);
    else this.#restorePage();
  }

  #close() {
    this.querySelector("section").hidden = true;
  }

  #say(sentence) {
    const status = this.#part("sentence");
    // Screen readers announce each write, so do not write the same text again.
    if (status.textContent !== sentence) status.textContent = sentence;
  }

  #showFigures() {
    this.#part("figures").textContent = String(this.#figures);
  }

  async #hangUp() {
    const call = this.#call;
    this.#say(this.#texts.ending);
    try {
      const response = await fetch(call.hang_up_url, {
        method: "POST",
        body: new URLSearchParams(new FormData(this.querySelector("form"))),
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const answer = response.status < 500 ? await response.json() : null;
      if (!answer?.id) throw new Error(response.statusText);
      openCalls.report({ ...call, ...answer }, null);
    } catch {
      this.#say(this.#texts.lost);
    }
  }

  /* The title begins with the callee, and the icon is that of a call. */
  #markPage(call) {
    if (this.#title && document.title !== this.#title.marked) this.#title.own = document.title;
    const own = this.#title?.own ?? document.title;
    this.#title = { own, marked: `☎ ${call.callee} · ${own}` };
    if (document.title !== this.#title.marked) document.title = this.#title.marked;
    if (this.#icons) return;
    this.#icons = [...document.head.querySelectorAll("link[rel~=icon]")];
    for (const icon of this.#icons) icon.remove();
    const icon = Object.assign(document.createElement("link"), { rel: "icon", type: "image/svg+xml" });
    icon.href = this.getAttribute("icon");
    icon.dataset.poketalk = "icon";
    document.head.append(icon);
  }

  #restorePage() {
    if (this.#title && document.title === this.#title.marked) document.title = this.#title.own;
    this.#title = null;
    if (!this.#icons) return;
    document.head.querySelector("link[data-poketalk=icon]")?.remove();
    document.head.append(...this.#icons);
    this.#icons = null;
  }

  #part(name) {
    return this.querySelector(`[data-poketalk=${name}]`);
  }

  get #texts() {
    return JSON.parse(this.getAttribute("texts"));
  }
}

if (!customElements.get("poketalk-call-bar")) customElements.define("poketalk-call-bar", PoketalkCallBar);
