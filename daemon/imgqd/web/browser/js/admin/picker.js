// Choosing a folder of the daemon's own file system, in a dialog: into folders, up, or by typing.

import { api } from "../api.js";
import { dialog, h, icon, show } from "../dom.js";
import { pathText, pathValue } from "../query.js";
import { T } from "../texts.js";

/**
 * @param {(path: any, name: string) => Promise<void>} chosen is given the path as the API takes it;
 *   what it throws is shown, and the dialog stays
 */
export function pickFolder(chosen) {
  /** @type {any} */
  let here = null;
  let turn = 0;
  const path = h("input", { class: "input path", type: "text", "aria-label": T.admin.path, autocomplete: "off", spellcheck: "false", oninput: offer });
  const list = h("ul", { class: "picker-list", tabindex: "-1", "aria-label": T.admin.folders });
  const problem = h("p", { class: "small danger-text", role: "alert" });
  const already = h("span", { class: "small muted", role: "status" });
  const up = h("button", { type: "button", class: "button", onclick: () => look(here?.parent, here?.parent_b64) }, icon("up"), T.admin.up);
  const take = h("button", { type: "button", class: "button primary", onclick: choose }, icon("check"), T.admin.watchThis);
  const { close } = dialog(T.admin.pickTitle, h("div", { class: "picker" },
    h("form", { class: "joined", onsubmit: (event) => { event.preventDefault(); void look(path.value.trim()); } },
      path, h("button", { type: "submit", class: "button" }, T.admin.go)),
    list, problem,
    h("div", { class: "picker-actions" }, up, already, take)), { class: "wide" });
  list.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const all = [...list.querySelectorAll("button")];
    const at = all.indexOf(/** @type {any} */ (document.activeElement));
    all[Math.max(0, Math.min(all.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
  });

  /** @param {string} [to] the home without one @param {string} [exact] base64 of the bytes */
  async function look(to, exact) {
    turn += 1;
    const mine = turn;
    const query = exact ? `?path_b64=${encodeURIComponent(exact)}` : to ? `?path=${encodeURIComponent(to)}` : "";
    const typed = path.value;
    problem.textContent = "";
    let found;
    try {
      found = await api.get(`/browse${query}`);
    } catch (error) {
      if (mine === turn) problem.textContent = error.message;
      return;
    }
    if (mine !== turn) return;
    const focused = list.contains(document.activeElement);
    here = found;
    // What was typed meanwhile is newer than what was found.
    if (path.value === typed) path.value = found.path;
    up.disabled = !found.parent;
    offer();
    list.setAttribute("aria-label", T.admin.here(found.path));
    show(list, found.folders.length
      ? found.folders.map((folder) => h("li", null, h("button", { type: "button", class: "option", onclick: () => look(folder.path, folder.path_b64) },
        icon("folder"), h("span", { class: "grow" }, folder.name), folder.watched && h("span", { class: "badge" }, T.admin.watched))))
      : h("li", { class: "muted" }, T.admin.noneHere),
    found.more && h("li", { class: "small muted" }, T.admin.moreFolders));
    list.scrollTop = 0;
    if (focused) (list.querySelector("button") ?? list).focus();
  }

  /** Another path than the one of the list. */
  const other = () => path.value !== here?.path && path.value.trim() !== here?.path;

  function offer() {
    const watched = Boolean(here?.watched) && !other();
    take.disabled = watched || !path.value.trim();
    already.textContent = watched ? T.admin.already : "";
  }

  async function choose() {
    const typed = path.value.trim();
    take.disabled = true;
    try {
      if (other()) await chosen(typed, typed);
      else await chosen(pathValue(pathText(here)), here.path);
      close();
    } catch (error) {
      problem.textContent = error.message;
      offer();
    }
  }

  void look();
}
