// The watched folders: what state each is in, adding one with a picker, removing one.

import { api, subscribe } from "../api.js";
import * as address from "../address.js";
import { confirm, h, icon, iconButton, show, toast } from "../dom.js";
import { isLocal } from "../here.js";
import { questionLink } from "../picture/links.js";
import { pathText, pathValue } from "../query.js";
import { T, files } from "../texts.js";
import { pickFolder } from "./picker.js";

/** @type {Record<string, string>} */
const DOTS = { watching: "good", polling: "good", scanning: "busy", offline: "bad" };

/** @param {() => void} again */
export function makeFolders(again) {
  const list = h("div", null, h("p", { class: "muted" }, T.loading));
  const add = h("div", { class: "row" });
  const element = h("div", { class: "stack", tabindex: "-1" },
    h("div", { class: "section-head" }, h("p", { class: "muted" }, T.admin.foldersWhat), add), list);
  let shown = "";

  isLocal().then((here) => show(add, here
    ? h("button", { type: "button", class: "button primary", onclick: () => pickFolder(added) }, icon("plus"), T.admin.add)
    : h("p", { class: "small muted" }, T.admin.notLocal)));

  /** @param {any} path as the API takes it @param {string} name @returns {Promise<void>} */
  async function added(path, name) {
    draw((await api.post("/folders", { paths: [path] })).folders);
    toast(T.admin.added(name));
    again();
  }

  /** @param {any} folder */
  async function remove(folder) {
    if (!(await confirm(T.admin.removeTitle, T.admin.removeText(folder.path), T.admin.removeYes))) return;
    try {
      draw((await api.delete("/folders", { paths: [pathValue(pathText(folder))] })).folders);
      toast(T.admin.removed(folder.path));
    } catch (error) {
      toast(error.message, { danger: true });
    }
    again();
    // The button that was pressed went with its row.
    if (!document.activeElement || document.activeElement === document.body) (add.querySelector("button") ?? element).focus();
  }

  /** @param {any[]} folders */
  function draw(folders) {
    const key = JSON.stringify(folders);
    // A row under the pointer or the focus is not made anew for nothing.
    if (key === shown) return;
    shown = key;
    show(list, folders.length
      ? h("ul", { class: "rows" }, folders.map(row))
      : h("div", { class: "empty" }, icon("folder"), h("p", null, T.admin.noFolders)));
  }

  /** @param {any} folder */
  function row(folder) {
    const offline = folder.state === "offline";
    return h("li", { class: "row-item" },
      h("span", { class: `dot ${DOTS[folder.state] ?? ""}`, "aria-hidden": "true" }),
      h("div", { class: "row-text" },
        questionLink({ in: [pathText(folder)] }, folder.path, (change) => address.write(change), T.admin.show(folder.path)),
        h("span", { class: `small ${offline ? "danger-text" : "muted"}` }, `${T.admin.folderStates[folder.state] ?? folder.state} · ${files(folder.files)}`),
        offline && h("span", { class: "small muted" }, T.admin.offline),
        folder.exclude?.length > 0 && h("span", { class: "small muted" }, T.admin.exclude(folder.exclude.join(", ")))),
      h("div", { class: "row-actions" }, iconButton("trash", T.admin.remove(folder.path), () => remove(folder))));
  }

  const end = subscribe("folder", again);
  return {
    element,
    /** @param {any} status */
    put: (status) => draw(status.folders),
    end,
  };
}
