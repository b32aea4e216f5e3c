/*
 * <poketalk-call>: lets the form inside it place its call without leaving the page, and shows the
 * call there until it is over. Load it as a module; it needs nothing else.
 *
 * All words are the server's: of its answers, or of the JSON in the attribute `texts` (`data-texts` of
 * the form, where that stands elsewhere and the button names it). The parts are found by
 * `data-poketalk`, so a template may lay them out as it likes. The attribute `live` has the call that
 * is going on already when the page comes. The attribute `phase` tells style sheets how far the call
 * is, and a `poketalk-change` event other scripts.
 */

const SOON = 1000; // milliseconds until the next look, where something has just changed
const SELDOM = 8000; // at most, where nothing changes
const RARELY = 30000; // at most, where the site does not answer
const SLOWER = 1.5;
const PATIENCE = 30000; // for one answer

class PoketalkCall extends HTMLElement {
  #busy = false; // from the press until the call is over
  #addresses = null; // of the call, once the press has been answered
  #hangUpWanted = false; // and not heard of yet: there is no call so far, or no connection
  #turn = 0; // counts requests: only the newest one's answer is shown
  #etag = "";
  #wait = SOON;
  #poll = 0;
  #tick = 0;
  #connectedAt = null; // milliseconds by this browser's clock, while both talk
  #cost = "";

  connectedCallback() {
    this.addEventListener("submit", this);
    this.addEventListener("click", this);
    document.addEventListener("visibilitychange", this);
    if (this.hasAttribute("live")) this.#takeUp();
    this.#resume();
  }

  disconnectedCallback() {
    this.removeEventListener("submit", this);
    this.removeEventListener("click", this);
    document.removeEventListener("visibilitychange", this);
    this.#pause();
  }

  handleEvent(event) {
    if (event.type === "visibilitychange") {
      if (document.hidden) this.#pause();
      else this.#resume();
    } else if (event.type === "submit") {
      event.preventDefault();
      if (!this.#busy) this.#place();
    } else if (event.target.closest("[data-poketalk=hang-up]")) {
      this.#hangUp();
    } else if (event.target.closest("[type=submit]") && !this.contains(this.#form)) {
      event.preventDefault(); // the form stands elsewhere, where its event is not heard from here
      if (!this.#busy && this.#form) this.#place();
    }
  }

  #takeUp() {
    const told = JSON.parse(this.getAttribute("live"));
    this.removeAttribute("live");
    this.#addresses = { status: told.status_url, hangUp: told.hang_up_url };
    this.#show(told);
  }

  async #place() {
    this.#busy = true;
    this.#addresses = null;
    this.#hangUpWanted = false;
    this.#show({ phase: "calling", sentence: this.#texts.calling, open: true, may_hang_up: true });
    const answer = await this.#ask(this.#form.getAttribute("action"), this.#data);
    if (answer.late) return;
    if (!answer.told) {
      const sentence = answer.lost ? this.#texts.no_answer : this.#texts.stale;
      this.#show({ phase: "refused", sentence, open: false });
      return;
    }
    const told = answer.told;
    if (told.status_url) {
      this.#addresses = { status: told.status_url, hangUp: told.hang_up_url };
      this.#token.value = told.token; // the next press is another call
      this.#wait = SOON;
    }
    this.#show(told);
    if (this.#hangUpWanted && told.open) this.#hangUp();
    else this.#schedule();
  }

  async #hangUp() {
    this.#part("sentence").textContent = this.#texts.ending;
    this.#hangUpWanted = true;
    if (!this.#addresses) return;
    clearTimeout(this.#poll);
    this.#wait = SOON;
    await this.#look();
  }

  /* Asks how the call stands, by the order to end it as long as that has not arrived. */
  async #look() {
    const { status, hangUp } = this.#addresses;
    const answer = await (this.#hangUpWanted ? this.#ask(hangUp, this.#data) : this.#ask(status));
    if (answer.late) return;
    this.#hangUpWanted &&= Boolean(answer.lost);
    if (answer.told) {
      this.#wait = SOON;
      this.#show(answer.told);
    } else if (answer.same) {
      this.#wait = Math.min(this.#wait * SLOWER, SELDOM);
    } else if (answer.lost) {
      this.#wait = Math.min(this.#wait * 2, RARELY);
      this.#part("sentence").textContent = this.#texts.lost;
    } else {
      this.#show({ phase: "refused", sentence: this.#texts.stale, open: false });
    }
    this.#schedule();
  }

  /*
   * One request: what was `told`, or that it is the `same` as before, that nobody answered (`lost`),
   * that a later request has made this one pointless (`late`); nothing for an answer that is none.
   */
  async #ask(address, form) {
    const turn = ++this.#turn;
    const answer = await this.#fetch(address, form).catch(() => ({ lost: true }));
    if (turn !== this.#turn) return { late: true };
    this.#etag = answer.same ? this.#etag : (answer.etag ?? "");
    return answer;
  }

  async #fetch(address, form) {
    const headers = { Accept: "application/json" };
    if (!form && this.#etag) headers["If-None-Match"] = this.#etag;
    const response = await fetch(address, {
      method: form ? "POST" : "GET",
      body: form && new URLSearchParams(form),
      headers,
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status === 304) return { same: true };
    if (response.status >= 500) return { lost: true };
    if (!response.headers.get("Content-Type")?.startsWith(headers.Accept)) return {};
    return { told: await response.json(), etag: response.headers.get("ETag") };
  }

  #show(told) {
    this.setAttribute("phase", told.phase);
    this.#busy = told.open;
    this.#connectedAt = Number.isInteger(told.clock) ? Date.now() - told.clock * 1000 : null;
    this.#cost = told.cost_text ?? "";
    const sentence = this.#part("sentence");
    // A screen reader says what is written anew, so the same is not written twice.
    if (sentence.textContent !== told.sentence) sentence.textContent = told.sentence;
    this.#showFigures();
    this.#showLink(told);
    this.#showButtons(told);
    clearInterval(this.#tick);
    if (this.#connectedAt !== null) this.#tick = setInterval(() => this.#showFigures(), 1000);
    this.dispatchEvent(new CustomEvent("poketalk-change", { bubbles: true, detail: told }));
  }

  #showFigures() {
    const figures = [];
    if (this.#connectedAt !== null) {
      const seconds = Math.max(0, Math.floor((Date.now() - this.#connectedAt) / 1000));
      const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
      const parts = hours ? [hours, minutes, seconds % 60] : [minutes, seconds % 60];
      figures.push(parts.map((part) => String(part).padStart(2, "0")).join(":"));
      if (this.#cost) figures.push(this.#cost);
    }
    this.#part("figures").textContent = figures.join(" · ");
  }

  #showLink(told) {
    const link = this.#part("link");
    if (told.link) {
      link.href = told.link.url;
      link.textContent = told.link.label;
    }
    // What is told of a call without a link leaves the one of the press.
    link.hidden = !(told.link || this.#addresses);
  }

  #showButtons(told) {
    const call = this.querySelector("[type=submit]");
    const hangUp = this.#part("hang-up");
    // Not `disabled`, which would take the focus away from whoever has just pressed it.
    call.setAttribute("aria-disabled", String(this.#busy));
    if (!told.may_hang_up && document.activeElement === hangUp) call.focus();
    hangUp.hidden = !told.may_hang_up;
  }

  #schedule() {
    clearTimeout(this.#poll);
    if (this.#busy && this.#addresses && this.isConnected && !document.hidden) {
      this.#poll = setTimeout(() => this.#look(), this.#wait);
    }
  }

  #pause() {
    clearTimeout(this.#poll);
    clearInterval(this.#tick);
  }

  #resume() {
    if (!this.#busy) return;
    this.#wait = SOON;
    if (this.#connectedAt !== null) {
      clearInterval(this.#tick);
      this.#tick = setInterval(() => this.#showFigures(), 1000);
    }
    if (this.#addresses && !document.hidden) this.#look();
  }

  #part(name) {
    return this.querySelector(`[data-poketalk=${name}]`);
  }

  get #form() {
    return this.querySelector("[type=submit]").form;
  }

  /* The hidden input of this element's own form, else the button. */
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
