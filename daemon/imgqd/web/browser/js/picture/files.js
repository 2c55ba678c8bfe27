// Where a picture is on disk: every path with what can be done with it, and the files of its shot.

import { api, thumbnail } from "../api.js";
import { copy, isOneLine, shellQuoted } from "../copying.js";
import { h, icon, iconButton, show, toast } from "../dom.js";
import { canReveal } from "../here.js";
import { T } from "../texts.js";
import { questionLink } from "./links.js";
import { fileName, originalAddress } from "./sources.js";

/** @typedef {{leave: (change: object) => void, open: (id: number) => void}} Told */

/** @param {Told} told */
export function makeFiles(told) {
  const paths = h("ul", { class: "path-list" });
  const copies = h("h3");
  const shot = h("div", { class: "shot" });
  const download = h("a", { class: "button", download: true }, icon("download"), T.picture.download);
  const element = h("section", { class: "side-section" }, copies, paths, h("div", { class: "row" }, download), shot);
  let shown = 0;

  /** @param {any} picture */
  async function put(picture) {
    shown = picture.id;
    const all = [picture, ...picture.copies.map((one) => (typeof one === "string" ? { path: one } : one))];
    copies.textContent = all.length > 1 ? T.picture.copies(all.length) : T.picture.where;
    download.href = originalAddress(picture.id, true);
    draw(all, picture, false);
    if (await canReveal()) { if (shown === picture.id) draw(all, picture, true); }
    show(shot, picture.stack?.length ? stackOf(picture, told) : null);
  }

  /** @param {{path: string, path_b64?: string}[]} all @param {any} picture @param {boolean} here */
  function draw(all, picture, here) {
    show(paths, all.map((item) => pathRow(item, here ? picture.id : 0, told)));
  }

  return { element, put };
}

/** @param {{path: string, path_b64?: string}} item @param {number} id 0 where it cannot be revealed @param {Told} told */
function pathRow(item, id, told) {
  const name = fileName(item.path);
  // Exact bytes of a folder cannot be had from replaced text, so it gets no link.
  const folder = item.path_b64 ? "" : item.path.slice(0, -name.length - 1) || "/";
  return h("li", null,
    h("span", { class: "path" }, folder && questionLink({ in: [folder] }, folder === "/" ? "/" : `${folder}/`, told.leave, T.picture.showFolder(folder)),
      h("strong", null, folder ? name : item.path)),
    h("span", { class: "path-actions" },
      iconButton("copy", T.picture.copyPath(name), () => copy(isOneLine(item) ? item.path : shellQuoted(item)), { class: "small-button" }),
      id > 0 && iconButton("reveal", T.picture.reveal(name), () => reveal(id, item), { class: "small-button" })));
}

/** @param {number} id @param {{path: string, path_b64?: string}} item */
async function reveal(id, item) {
  try {
    await api.post(`/pictures/${id}/reveal`, item.path_b64 ? { path_b64: item.path_b64 } : { path: item.path });
    toast(T.picture.revealed);
  } catch (error) {
    toast(error.message, { danger: true });
  }
}

/** @param {any} picture @param {Told} told */
function stackOf(picture, told) {
  return [
    h("h3", null, T.picture.shot),
    h("ul", { class: "stack-list" }, picture.stack.map((member) => {
      const name = fileName(member.path);
      const what = member.format === "video" ? T.picture.film : member.format.toUpperCase();
      return h("li", null,
        member.id === null || member.id === undefined
          ? h("span", { class: "stack-film" }, icon("play"))
          : h("button", { type: "button", class: "stack-open", "aria-label": T.picture.openMember(name), onclick: () => told.open(member.id) },
            h("img", { src: thumbnail(member.id, 128), alt: "", loading: "lazy", decoding: "async" })),
        h("span", { class: "stack-name" }, h("strong", null, what), h("span", { class: "path" }, name)),
        iconButton("copy", T.picture.copyPath(name), () => copy(isOneLine(member) ? member.path : shellQuoted(member)), { class: "small-button" }));
    })),
  ];
}
