/* The figures of a call that change by themselves: its clock, and the seconds to the next report. */

export class Figures {
  #connectedAt = null; // milliseconds of this browser's clock, while both talk
  #reportAt = null; // of the next event, in the same milliseconds, while a hang-up waits for it
  #cost = "";

  /* From the site's response for a call, and the text around the seconds to the next report. */
  constructor(call = {}, nextReport = "") {
    this.#connectedAt = Number.isInteger(call.clock) ? Date.now() - call.clock * 1000 : null;
    this.#reportAt = Number.isInteger(call.next_report) ? Date.now() + call.next_report * 1000 : null;
    this.#cost = call.cost_text ?? "";
    this.nextReport = nextReport;
  }

  get areTicking() {
    return this.#connectedAt !== null || this.#reportAt !== null;
  }

  toString() {
    const figures = [];
    if (this.#connectedAt !== null) {
      figures.push(clock(Math.max(0, Math.floor((Date.now() - this.#connectedAt) / 1000))));
      if (this.#cost) figures.push(this.#cost);
    }
    if (this.#reportAt !== null) {
      const seconds = Math.max(0, Math.ceil((this.#reportAt - Date.now()) / 1000));
      figures.push(this.nextReport.replace("{seconds}", seconds));
    }
    return figures.join(" · ");
  }
}

function clock(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const parts = hours ? [hours, minutes, seconds % 60] : [minutes, seconds % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
