/* <poketalk-call-history>: loads the calls about an object again when a call starts or ends. */

class PoketalkCallHistory extends HTMLElement {
  #load = () => this.load();

  connectedCallback() {
    document.addEventListener("poketalk-started", this.#load);
    document.addEventListener("poketalk-ended", this.#load);
  }

  disconnectedCallback() {
    document.removeEventListener("poketalk-started", this.#load);
    document.removeEventListener("poketalk-ended", this.#load);
  }

  load() {
    const request = new XMLHttpRequest();
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
