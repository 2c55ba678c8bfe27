// The model that answers, how far another one is, and changing it.

import { api } from "../api.js";
import { h, icon, show, toast } from "../dom.js";
import { T, number } from "../texts.js";
import { makeProgress } from "./status.js";

const MODEL_STAGES = new Set(["download", "load", "export", "check", "embed"]);
const EXAMPLES = ["auto", "builtin", "builtin:conse", "ViT-B-32/openai"];

/** @param {() => void} again */
export function makeModel(again) {
  const bar = makeProgress();
  const pairs = h("dl", { class: "pairs" });
  const notes = h("div", { class: "stack" });
  const answers = h("section", { class: "card stack" }, h("h2", null, T.admin.answers), pairs, bar.element, notes);
  const spec = h("input", {
    class: "input", id: "model-spec", list: "model-known", required: true, maxlength: "4096", autocomplete: "off", spellcheck: "false", "aria-describedby": "model-help",
    oninput: () => { touched = true; },
  });
  const now = h("input", { type: "checkbox" });
  const problem = h("p", { class: "small danger-text", role: "alert" });
  const change = h("button", { type: "submit", class: "button primary" }, T.admin.changeYes);
  let touched = false;
  const form = h("form", {
    class: "card stack",
    async onsubmit(event) {
      event.preventDefault();
      problem.textContent = "";
      change.disabled = true;
      try {
        await api.put("/model", { spec: spec.value.trim(), now: now.checked });
        touched = false;
        toast(T.admin.changing);
      } catch (error) {
        problem.textContent = error.message;
      }
      change.disabled = false;
      again();
    },
  },
  h("h2", null, T.admin.change),
  h("div", { class: "field" }, h("label", { for: "model-spec" }, T.admin.spec),
    h("div", { class: "joined" }, spec, change),
    h("p", { class: "small muted", id: "model-help" }, T.admin.specHelp)),
  h("datalist", { id: "model-known" }, EXAMPLES.map((one) => h("option", { value: one }))),
  h("label", { class: "check" }, now, T.admin.anyway),
  problem,
  h("p", { class: "small muted" }, T.admin.meanwhile));
  const element = h("div", { class: "stack" }, answers, form);

  return {
    element,
    /** @param {any} status */
    put(status) {
      const { model } = status;
      const rows = [
        [T.admin.spec, model.id ?? T.admin.none], [T.admin.wanted, model.spec], [T.admin.runtime, model.runtime], [T.admin.device, model.device],
        [T.admin.dimension, model.dim && number(model.dim)], [T.admin.vectors, number(status.index.vectors)],
      ];
      show(pairs, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
      bar.put(MODEL_STAGES.has(status.progress?.stage) ? status : { progress: {} });
      show(notes,
        model.error && h("p", { class: "notice danger row" }, icon("warning"), h("span", null, model.error)),
        model.fallback && h("p", { class: "notice" }, model.fallback),
        model.available && h("p", { class: "notice" }, `${T.admin.better}: ${model.available}`),
        model.language && h("p", { class: "notice" }, model.language));
      if (!touched && document.activeElement !== spec) spec.value = model.spec;
    },
    end() {},
  };
}
