// Looking after imgq: four views with one row of tabs. What each shows is its module's.

import * as address from "../address.js";
import { h, show } from "../dom.js";
import { T, number } from "../texts.js";
import { followStatus } from "./following.js";
import { makeFolders } from "./folders.js";
import { makeModel } from "./model.js";
import { makeProblems } from "./problems.js";
import { makeStatus } from "./status.js";

/** @typedef {{element: HTMLElement, put: (status: any) => void, end: () => void}} Part */
/** @type {Record<string, (again: () => void) => Part>} */
const PARTS = { status: makeStatus, folders: makeFolders, problems: makeProblems, model: makeModel };

/** @param {HTMLElement} root @param {import("../address.js").State} state */
export async function mount(root, state) {
  const name = state.view;
  const badge = h("span", { class: "badge danger", hidden: true });
  const tabs = h("nav", { class: "tabs", "aria-label": T.admin.sections }, Object.keys(PARTS).map((view) => h("a", {
    class: "tab", href: address.href({ ...address.read(), view, picture: "" }), "aria-current": view === name ? "page" : null,
    onclick(event) {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      address.write({ view });
    },
  }, T.views[view], view === "problems" ? badge : null)));
  const lost = h("p", { class: "notice danger", role: "alert", hidden: true }, T.admin.lost);
  /** @type {{again: () => void, end: () => void} | null} */
  let following = null;
  const part = PARTS[name](() => following?.again());
  show(root, h("div", { class: "page" }, h("h1", null, T.views[name]), tabs, lost, part.element));
  // On a narrow screen the tabs scroll.
  tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  following = followStatus((status) => {
    lost.hidden = Boolean(status);
    if (!status) return;
    badge.hidden = !status.problems;
    badge.textContent = number(status.problems);
    part.put(status);
  });
  return {
    update() {},
    unmount() { following?.end(); part.end(); },
  };
}
