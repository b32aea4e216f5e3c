/*
 * <poketalk-call>: submits the form inside it without leaving the page, and shows the call there until
 * it has ended. While the user has a call elsewhere, the button says so, and links to it. Load this
 * file as a module.
 *
 * All texts come from the server, either in its responses or as JSON in the attribute `texts` (or in
 * `data-texts` of the form, if the form is elsewhere on the page). The script finds its parts by their
 * attribute `data-poketalk`, so a template can arrange them in any way. The attribute `live` has the
 * call that is already open when the page loads. The script sets the attribute `phase` for style
 * sheets, and dispatches `poketalk-change` events for other scripts.
 */

import { Figures } from "./call_figures.js";
import { openCalls } from "./open_calls.js";

// Milliseconds
const SOON = 1000; // until the next request after a change
const SELDOM = 8000; // the longest interval without changes
const RARELY = 30000; // the longest interval if the site does not respond
const TIMEOUT = 30000; // of a request
const SLOWER = 1.5; // the factor between two intervals

class PoketalkCall extends HTMLElement {
  #busy = false; // from the press until the end of the call
  #urls = null; // of the call, once the response to the press has arrived
  #mustHangUp = false; // pressed, but the server has not confirmed it yet
  #turn = 0; // counts requests, since only the newest one's response counts
  #etag = "";
  #wait = SOON;
  #poll = 0;
  #tick = 0;
  #figures = new Figures();
  #id = null; // of the call that is displayed
  #isBlocked = false; // by a call elsewhere

  connectedCallback() {
    this.addEventListener("submit", this);
    this.addEventListener("click", this);
    document.addEventListener("visibilitychange", this);
    openCalls.addEventListener("change", this);
    openCalls.follow(this.#texts.current, [], false);
    if (this.hasAttribute("live")) this.#showOpenCall();
    this.#resume();
    this.#block();
  }

  disconnectedCallback() {
    this.removeEventListener("submit", this);
    this.removeEventListener("click", this);
    document.removeEventListener("visibilitychange", this);
    openCalls.removeEventListener("change", this);
    this.#pause();
  }

  handleEvent(event) {
    if (event.type === "visibilitychange") {
      if (document.hidden) this.#pause();
      else this.#resume();
    } else if (event.type === "change" && event.target === openCalls) {
      this.#follow(event.detail);
    } else if (event.type === "submit") {
      event.preventDefault();
      this.#press(event.submitter);
    } else if (event.target.closest("[data-poketalk=hang-up]")) {
      this.#hangUp();
    } else if (event.target.closest("[type=submit]") && !this.contains(this.#form)) {
      event.preventDefault(); // the form is elsewhere, so its events do not reach this element
      if (this.#form) this.#press();
    }
  }

  #showOpenCall() {
    const call = JSON.parse(this.getAttribute("live"));
    this.removeAttribute("live");
    this.#urls = { status: call.status_url, hangUp: call.hang_up_url };
    openCalls.adopt(call, this);
    this.#show(call);
  }

  #press(pressed) {
    if (this.#busy) return;
    if (this.#isBlocked) this.#showCallElsewhere();
    else this.#place(pressed);
  }

  /* News of a call that another tab or the bar has. */
  #follow({ call, source }) {
    if (source === this) return;
    if (this.#urls && call.id === this.#id && this.#busy) this.#show(call);
    else this.#block();
  }

  /* Disables the button while the user has as many calls as are allowed, without many words. */
  #block() {
    if (this.#busy) return;
    const { most } = this.#texts;
    const wasBlocked = this.#isBlocked;
    this.#isBlocked = Boolean(most) && openCalls.all.length >= most;
    if (this.#isBlocked === wasBlocked) return;
    this.#disable(this.#isBlocked);
    if (this.getAttribute("phase") === "busy") this.#clear();
    const isAlone = document.querySelectorAll("poketalk-call").length === 1;
    if (this.#isBlocked && isAlone) this.#showCallElsewhere();
  }

  #showCallElsewhere() {
    const [call] = openCalls.all;
    const link = this.#part("link");
    this.setAttribute("phase", "busy");
    this.#part("sentence").textContent = this.#texts.busy;
    this.#part("figures").textContent = "";
    link.hidden = !call?.link;
    if (call?.link) Object.assign(link, { href: call.link.url, textContent: this.#texts.view });
  }

  #clear() {
    this.removeAttribute("phase");
    this.#part("sentence").textContent = "";
    this.#part("link").hidden = true;
  }

  /* Places the call. A button of the menu has the phone that rings first. */
  async #place(pressed) {
    const data = this.#data;
    if (pressed?.name === "phone") data.set("phone", pressed.value);
    this.#closeMenu();
    this.#busy = true;
    this.#urls = null;
    this.#mustHangUp = false;
    this.#show({ phase: "calling", sentence: this.#texts.calling, open: true, may_hang_up: true });
    const answer = await this.#request(this.#form.getAttribute("action"), data);
    if (answer.outdated) return;
    const { call } = answer;
    if (!call) {
      const sentence = answer.failed ? this.#texts.no_answer : this.#texts.stale;
      this.#show({ phase: "refused", sentence, open: false });
      return;
    }
    this.#report(call);
    if (call.status_url) {
      this.#urls = { status: call.status_url, hangUp: call.hang_up_url };
      this.#token.value = call.token; // the next press places another call
      this.#wait = SOON;
    }
    this.#show(call);
    if (this.#mustHangUp && call.open) this.#hangUp();
    else this.#schedule();
  }

  async #hangUp() {
    this.#part("sentence").textContent = this.#texts.ending;
    this.#mustHangUp = true;
    if (!this.#urls) return;
    clearTimeout(this.#poll);
    this.#wait = SOON;
    await this.#update();
  }

  #report(call) {
    if (call.id) openCalls.report(call, this);
  }

  /* Gets the call's status, or hangs up as long as the server has not confirmed that. */
  async #update() {
    const { status, hangUp } = this.#urls;
    const answer = await (this.#mustHangUp ? this.#request(hangUp, this.#data) : this.#request(status));
    if (answer.outdated) return;
    this.#mustHangUp &&= Boolean(answer.failed);
    if (answer.call) {
      this.#wait = SOON;
      this.#show(answer.call);
      this.#report(answer.call);
    } else if (answer.unchanged) {
      this.#wait = Math.min(this.#wait * SLOWER, SELDOM);
    } else if (answer.failed) {
      this.#wait = Math.min(this.#wait * 2, RARELY);
      this.#part("sentence").textContent = this.#texts.lost;
    } else {
      this.#show({ phase: "refused", sentence: this.#texts.stale, open: false });
    }
    this.#schedule();
  }

  /*
   * The result of a request: a `call`, or that it is `unchanged`, that there was no response (`failed`),
   * or that there is a newer request (`outdated`). Empty if the response is not JSON.
   */
  async #request(url, form) {
    const turn = ++this.#turn;
    const answer = await this.#fetch(url, form).catch(() => ({ failed: true }));
    if (turn !== this.#turn) return { outdated: true };
    this.#etag = answer.unchanged ? this.#etag : (answer.etag ?? "");
    return answer;
  }

  async #fetch(url, form) {
    const headers = { Accept: "application/json" };
    if (!form && this.#etag) headers["If-None-Match"] = this.#etag;
    const response = await fetch(url, {
      method: form ? "POST" : "GET",
      body: form && new URLSearchParams(form),
      headers,
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (response.status === 304) return { unchanged: true };
    if (response.status >= 500) return { failed: true };
    if (!response.headers.get("Content-Type")?.startsWith(headers.Accept)) return {};
    return { call: await response.json(), etag: response.headers.get("ETag") };
  }

  #show(call) {
    this.setAttribute("phase", call.phase);
    this.#busy = call.open;
    this.#id = call.id ?? null;
    this.#figures = new Figures(call, this.#texts.next_report);
    const sentence = this.#part("sentence");
    // Screen readers announce each write, so do not write the same text again.
    if (sentence.textContent !== call.sentence) sentence.textContent = call.sentence;
    this.#showFigures();
    this.#showLink(call);
    this.#showButtons(call);
    if (call.wrap_up && !call.open) import(call.wrap_up.script).then(({ ask }) => ask(this, call.wrap_up.url), () => {});
    clearInterval(this.#tick);
    if (this.#figures.areTicking) this.#tick = setInterval(() => this.#showFigures(), 1000);
    this.dispatchEvent(new CustomEvent("poketalk-change", { bubbles: true, detail: call }));
  }

  #showFigures() {
    this.#part("figures").textContent = String(this.#figures);
  }

  #showLink(call) {
    const link = this.#part("link");
    if (call.link) {
      link.href = call.link.url;
      link.textContent = call.link.label;
    }
    // Status responses have no link, so keep the one from the response to the press.
    link.hidden = !(call.link || this.#urls);
  }

  #showButtons(call) {
    const button = this.querySelector("[type=submit]");
    const hangUp = this.#part("hang-up");
    // Not `disabled`, because that would remove the focus from the button that was just pressed.
    this.#disable(this.#busy);
    if (!call.may_hang_up && document.activeElement === hangUp) button.focus();
    hangUp.hidden = !call.may_hang_up;
  }

  #disable(isDisabled) {
    for (const each of this.querySelectorAll("[type=submit]")) {
      each.setAttribute("aria-disabled", String(isDisabled));
    }
  }

  #closeMenu() {
    const menu = this.querySelector("details");
    if (menu?.contains(document.activeElement)) this.querySelector("[type=submit]").focus();
    if (menu) menu.open = false;
  }

  #schedule() {
    clearTimeout(this.#poll);
    if (this.#busy && this.#urls && this.isConnected && !document.hidden) {
      this.#poll = setTimeout(() => this.#update(), this.#wait);
    }
  }

  #pause() {
    clearTimeout(this.#poll);
    clearInterval(this.#tick);
  }

  #resume() {
    if (!this.#busy) return;
    this.#wait = SOON;
    if (this.#figures.areTicking) {
      clearInterval(this.#tick);
      this.#tick = setInterval(() => this.#showFigures(), 1000);
    }
    if (this.#urls && !document.hidden) this.#update();
  }

  #part(name) {
    return this.querySelector(`[data-poketalk=${name}]`);
  }

  get #form() {
    return this.querySelector("[type=submit]").form;
  }

  /* The hidden input of the form inside this element, or else the button. */
  get #token() {
    return this.querySelector("[name=token]");
  }

  get #data() {
    const data = new FormData(this.#form);
    data.set("token", this.#token.value);
    return data;
  }

  get #texts() {
    return JSON.parse(this.getAttribute("texts") ?? this.#form.dataset.texts);
  }
}

if (!customElements.get("poketalk-call")) customElements.define("poketalk-call", PoketalkCall);
