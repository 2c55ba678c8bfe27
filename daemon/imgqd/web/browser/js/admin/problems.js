// Files that could not be indexed: each with its reason, to be tried again one by one or all.

import { aborted, api } from "../api.js";
import { copy, isOneLine, shellQuoted } from "../copying.js";
import { h, icon, iconButton, show, toast } from "../dom.js";
import { pathText, pathValue } from "../query.js";
import { fileName } from "../picture/sources.js";
import { T, moment, number } from "../texts.js";

const PER_PAGE = 100;

/** @param {() => void} again */
export function makeProblems(again) {
  /** @type {any[]} */
  let all = [];
  let reason = "";
  let page = 0;
  /** What the list was drawn for: a file that fails again is told by what waits, not by an event. */
  let drawn = "";
  const retryAll = h("button", { type: "button", class: "button", hidden: true, onclick: () => retry() }, icon("refresh"), T.admin.retryAll);
  const filter = h("div", { class: "reasons", role: "group", "aria-label": T.admin.reason });
  const list = h("div", null, h("p", { class: "muted" }, T.loading));
  const pager = h("nav", { class: "pager", "aria-label": T.duplicates.pages, hidden: true });
  const element = h("div", { class: "stack", tabindex: "-1" },
    h("div", { class: "section-head" }, h("p", { class: "muted" }, T.admin.problemsWhat), retryAll), filter, list, pager);
  const controller = new AbortController();

  async function load() {
    try {
      all = (await api.get("/problems", { signal: controller.signal })).problems;
    } catch (error) {
      if (!aborted(error)) show(list, h("p", { class: "notice danger", role: "alert" }, error.message));
      return;
    }
    draw();
  }

  function draw() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const one of all) counts.set(one.reason, (counts.get(one.reason) ?? 0) + 1);
    if (reason && !counts.has(reason)) reason = "";
    retryAll.hidden = !all.length;
    const choose = (name, label, n) => h("button", { type: "button", class: `chip${reason === name ? " on" : ""}`, "aria-pressed": String(reason === name), onclick: () => { reason = name; page = 0; draw(); } }, label, h("span", { class: "count" }, number(n)));
    show(filter, counts.size > 1 && [choose("", T.admin.all, all.length), ...[...counts].map(([name, n]) => choose(name, T.admin.reasons[name] ?? name, n))]);
    const shown = reason ? all.filter((one) => one.reason === reason) : all;
    const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
    page = Math.min(page, pages - 1);
    const from = page * PER_PAGE;
    show(list, shown.length
      ? h("ul", { class: "rows" }, shown.slice(from, from + PER_PAGE).map(row))
      : h("div", { class: "empty" }, icon("check"), h("p", null, T.admin.noProblems)));
    pager.hidden = pages < 2;
    const turn = (to) => { page = to; draw(); element.scrollIntoView({ block: "start" }); };
    show(pager, iconButton("left", T.admin.before, () => turn(page - 1), { disabled: page === 0 }),
      h("span", { class: "number" }, T.duplicates.page(number(from + 1), number(Math.min(from + PER_PAGE, shown.length)), number(shown.length))),
      iconButton("right", T.admin.after, () => turn(page + 1), { disabled: page === pages - 1 }));
  }

  /** @param {any} problem */
  function row(problem) {
    const name = fileName(problem.path);
    return h("li", { class: "row-item" },
      h("div", { class: "row-text" },
        h("span", { class: "path" }, problem.path),
        h("span", null, h("strong", null, T.admin.reasons[problem.reason] ?? problem.reason), problem.detail ? ` · ${problem.detail}` : ""),
        h("span", { class: "small muted" }, T.admin.tried(problem.attempts, moment(problem.since)))),
      h("div", { class: "row-actions" },
        iconButton("copy", T.picture.copyPath(name), () => copy(isOneLine(problem) ? problem.path : shellQuoted(problem))),
        iconButton("refresh", T.admin.retryOne(name), () => retry(problem))));
  }

  /** @param {any} [problem] all without one */
  async function retry(problem) {
    retryAll.disabled = true;
    try {
      const { retried } = await api.post("/retry", problem ? { paths: [pathValue(pathText(problem))] } : {});
      toast(T.admin.retried(retried));
    } catch (error) {
      toast(error.message, { danger: true });
    }
    retryAll.disabled = false;
    drawn = "";
    again();
    await load();
    // The button that was pressed is gone with its row.
    if (!document.activeElement || document.activeElement === document.body) (retryAll.hidden ? element : retryAll).focus();
  }

  return {
    element,
    /** @param {any} status */
    put(status) {
      const now = `${status.problems} ${status.generation} ${status.pending}`;
      if (now === drawn) return;
      drawn = now;
      void load();
    },
    end: () => controller.abort(),
  };
}
