// An image of one's own as the question: dropped, pasted or chosen. Made smaller here, so that a
// photo of 20 MB is 100 kB on its way, and kept in memory only.

import * as address from "./address.js";
import { h, icon, on, toast } from "./dom.js";
import * as example from "./example.js";
import { T } from "./texts.js";

const SIDE = 1024;
// Above it JSON in base64 passes the daemon's own limit for a question.
const MOST_BYTES = 60_000_000;
const ACCEPT = "image/*,.heic,.heif,.avif,.jxl,.tif,.tiff,.dng,.cr2,.cr3,.nef,.arw,.raf,.orf,.rw2";

/** @param {Blob} blob @returns {Promise<string>} */
async function base64(blob) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
  return url.slice(url.indexOf(",") + 1);
}

/** The image no larger than a model sees of it; null where this browser cannot read it. @param {Blob} file */
async function smaller(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  // JPEG has no transparency: what shows through is white, as on paper.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return /** @type {Promise<Blob | null>} */ (new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9)));
}

/** Searches with an image. @param {File} file */
export async function useFile(file) {
  if (file.type && !file.type.startsWith("image/") && !ACCEPT.includes(`.${file.name.split(".").at(-1)?.toLowerCase()}`)) {
    toast(T.ask.notImage(file.name), { danger: true });
    return;
  }
  if (file.size > MOST_BYTES) { toast(T.ask.tooLarge(file.name), { danger: true }); return; }
  const small = await smaller(file);
  const sent = small ?? file;
  try {
    example.hold({ base64: await base64(sent), name: file.name, preview: URL.createObjectURL(sent) });
  } catch {
    toast(T.ask.unreadable(file.name), { danger: true });
    return;
  }
  const change = { q: "", like: [], unlike: [], view: "", picture: "" };
  // The URL can be the same as before, with another image behind it.
  if (address.read().example) address.touch({ ...change, example: true });
  else address.write({ ...change, example: true });
}

/** Opens the browser's own dialog for files. */
export function chooseFile() {
  const input = h("input", { type: "file", accept: ACCEPT });
  input.addEventListener("change", () => { if (input.files?.[0]) void useFile(input.files[0]); });
  input.click();
}

/** Takes what is dropped on the page or pasted into it. */
export function takeExamples() {
  const veil = h("div", { class: "drop-veil", hidden: true, "aria-hidden": "true" }, h("div", null, icon("image"), h("p", null, T.ask.drop)));
  document.body.append(veil);
  let depth = 0;
  const files = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  on(window, "dragenter", (event) => { if (files(event)) { event.preventDefault(); depth += 1; veil.hidden = false; } });
  on(window, "dragleave", (event) => { if (files(event)) { depth -= 1; veil.hidden = depth > 0 ? false : true; } });
  on(window, "dragover", (event) => { if (files(event)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; } });
  on(window, "drop", (event) => {
    depth = 0;
    veil.hidden = true;
    const file = event.dataTransfer?.files?.[0];
    if (!file) return;
    event.preventDefault();
    void useFile(file);
  });
  on(document, "paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    void useFile(file);
  });
}
