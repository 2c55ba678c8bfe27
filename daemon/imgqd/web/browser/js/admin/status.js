// What the daemon is doing now: state and progress, figures, and what happened last.

import { api, subscribe } from "../api.js";
import { h, icon, show, toast } from "../dom.js";
import { T, number, size } from "../texts.js";

const SHOWN_EVENTS = 12;
const EVENTS = ["picture-added", "picture-changed", "picture-removed", "problem", "folder", "model"];

/** @param {() => void} again */
export function makeStatus(again) {
  // Until the first answer there is nothing to read or to press.
  const state = h("section", { class: "card state", hidden: true });
  const notes = h("div", { class: "stack" });
  const figures = h("dl", { class: "figures" });
  const about = h("dl", { class: "pairs" });
  const happened = h("ol", { class: "happened" });
  const quiet = h("p", { class: "muted" }, T.admin.quiet);
  const bar = makeProgress();
  const title = h("span", { role: "status" });
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const pause = h("button", { type: "button", class: "button" });
  let paused = false;
  pause.addEventListener("click", async () => {
    pause.disabled = true;
    try {
      await api.post(paused ? "/resume" : "/pause");
    } catch (error) {
      toast(error.message, { danger: true });
    }
    pause.disabled = false;
    again();
  });
  show(state, h("div", { class: "state-line" }, dot, h("h2", null, title), pause), bar.element);
  const element = h("div", { class: "stack" }, state, notes, figures,
    h("section", { class: "card stack" }, h("h2", null, T.admin.latest), quiet, happened), about);

  const ends = EVENTS.map((kind) => subscribe(kind, (data) => {
    quiet.hidden = true;
    const path = data.path ?? data.spec ?? "";
    const same = [...happened.children].find((one) => one.dataset.path === path);
    // A picture that has just come is told changed at once, when its category is known.
    if (same && kind === "picture-changed") return;
    happened.prepend(h("li", { dataset: { path } },
      h("time", { class: "muted number" }, new Date().toLocaleTimeString()),
      h("strong", null, T.admin.events[kind]),
      h("span", { class: "path", title: path || null }, path)));
    while (happened.children.length > SHOWN_EVENTS) happened.lastElementChild?.remove();
  }));

  return {
    element,
    /** @param {any} status */
    put(status) {
      state.hidden = false;
      paused = Boolean(status.paused);
      const text = paused ? (status.paused_by === "battery" ? T.admin.pausedBattery : T.admin.paused) : T.admin.states[status.state];
      // Said again to screen readers only when it has changed.
      if (title.textContent !== text) title.textContent = text;
      dot.className = `dot ${status.failure ? "bad" : paused ? "" : status.state === "idle" ? "good" : "busy"}`;
      show(pause, icon(paused ? "play" : "pause"), paused ? T.admin.resume : T.admin.pause);
      bar.put(status);
      show(notes, [status.failure, status.notice, status.watch_limit].filter(Boolean).map((note, at) =>
        h("p", { class: `notice${at === 0 && status.failure ? " danger" : ""}` }, note)));
      const { queries } = status;
      show(figures,
        figure(T.admin.pictures, number(status.pictures)), figure(T.admin.files, number(status.files)),
        figure(T.admin.waiting, number(status.pending)), figure(T.admin.problems, number(status.problems), status.problems > 0),
        figure(T.admin.searches, number(queries.count)),
        queries.p50_ms !== null && figure(T.admin.halfWithin, T.numbers.ms(queries.p50_ms)),
        figure(T.admin.memory, size(status.memory_bytes)), figure(T.admin.running, T.admin.duration(status.uptime_s)));
      show(about,
        h("dt", null, T.admin.version), h("dd", null, status.version),
        h("dt", null, T.admin.index), h("dd", null, `${status.index.kind ?? "–"}, ${number(status.index.vectors)}`),
        status.home ? [h("dt", null, T.admin.home), h("dd", { class: "path" }, status.home)] : null);
    },
    end() { for (const end of ends) end(); },
  };
}

function figure(name, value, danger = false) {
  return h("div", { class: `figure${danger ? " danger" : ""}` }, h("dt", null, name), h("dd", null, value));
}

/** A bar with words for what `status.progress` says; hidden when there is nothing to do. */
export function makeProgress() {
  const fill = h("span");
  const bar = h("div", { class: "progress", role: "progressbar", "aria-label": T.admin.progress, "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  const text = h("p", { class: "small muted number" });
  const element = h("div", { class: "stack", hidden: true }, bar, text);
  return {
    element,
    /** @param {any} status */
    put(status) {
      const { stage = "", detail = "", done = 0, total = 0 } = status.progress ?? {};
      element.hidden = !stage;
      if (!stage) return;
      const known = total > 0;
      const part = known ? Math.min(1, done / total) : 0;
      bar.classList.toggle("unknown", !known && !status.paused);
      fill.style.transform = known ? `scaleX(${part})` : "";
      if (known) bar.setAttribute("aria-valuenow", String(Math.round(100 * part)));
      else bar.removeAttribute("aria-valuenow");
      const amount = stage === "download" ? T.admin.of(size(done), size(total)) : T.admin.of(number(done), number(total));
      text.textContent = [T.admin.stages[stage] ?? stage, known ? amount : "", detail && detail !== "paused" ? detail : ""].filter(Boolean).join(" · ");
    },
  };
}
