/* <poketalk-call-history>: loads the calls about an object again when the state of a call changes. */

import { openCalls } from "./open_calls.js";

class PoketalkCallHistory extends HTMLElement {
  #load = () => this.load();
  #follow = ({ detail }) => this.follow(detail.call);
  #phases = new Map(); // of open calls, by id
  #request = null; // the newest one

  connectedCallback() {
    document.addEventListener("poketalk-started", this.#load);
    document.addEventListener("poketalk-ended", this.#load);
    openCalls.addEventListener("change", this.#follow);
  }

  disconnectedCallback() {
    document.removeEventListener("poketalk-started", this.#load);
    document.removeEventListener("poketalk-ended", this.#load);
    openCalls.removeEventListener("change", this.#follow);
  }

  follow({ id, phase, open }) {
    const before = this.#phases.get(id);
    if (open) this.#phases.set(id, phase);
    else this.#phases.delete(id);
    if (open && before && before !== phase) this.load();
  }

  load() {
    this.#request?.abort();
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open("GET", this.getAttribute("src"));
    request.responseType = "document"; // the browser parses it, also under trusted types
    request.addEventListener("load", () => {
      const fresh = request.status === 200 ? request.response?.body : null;
      if (fresh && !this.contains(document.activeElement)) this.replaceChildren(...fresh.childNodes);
    });
    request.send();
  }
}

if (!customElements.get("poketalk-call-history")) {
  customElements.define("poketalk-call-history", PoketalkCallHistory);
}
