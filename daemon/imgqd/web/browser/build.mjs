// Joins what runs in the browser into the few files that are served: `npm ci && npm run build` writes
// ../static (or the folder that is named), `npm run watch` does at each change. One file starts sooner than
// forty: each costs the browser and the daemon a request.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, watch, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const STYLES = ["base", "layout", "panels", "picture", "numbers"];
// What runs before the first paint, in this order; it stands in the page itself.
const FIRST = ["theme", "early"];

/** @param {string} name */
const read = (name) => readFile(join(HERE, name), "utf8");

/** What a build was made from: a line for each file, so that a forgotten build is seen without making one. */
async function sources() {
  const names = (await readdir(HERE, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile()).map((entry) => relative(HERE, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((name) => !name.startsWith("node_modules")).sort();
  const lines = await Promise.all(names.map(async (name) =>
    `${createHash("sha256").update(await readFile(join(HERE, name))).digest("hex")}  ${name.replaceAll("\\", "/")}\n`));
  return lines.join("");
}

/** @param {string} to */
async function make(to) {
  const app = await build({
    absWorkingDir: HERE, entryPoints: ["js/app.js"], bundle: true, format: "esm", minify: true, target: "es2022",
    charset: "utf8", legalComments: "none", write: false,
  });
  const sheets = await Promise.all(STYLES.map((name) => read(`style/${name}.css`)));
  const { code: style } = await transform(sheets.join("\n"), { loader: "css", minify: true, charset: "utf8" });
  const scripts = await Promise.all(FIRST.map(async (name) =>
    (await transform(await read(`js/${name}.js`), { minify: true, charset: "utf8" })).code.trim()));
  // Drawings are found by their ids, which must not be those of anything else.
  const icons = (await read("icons.svg")).trim().replaceAll('<symbol id="', '<symbol id="icon-').replaceAll("\n", "");
  const page = (await read("index.html"))
    .replace("<!-- first -->", () => `<script>${scripts.join("")}</script>`)
    .replace("<!-- icons -->", () => icons.replace("<svg ", '<svg width="0" height="0" aria-hidden="true" class="icons" '));
  await mkdir(to, { recursive: true });
  await writeFile(join(to, "app.js"), app.outputFiles[0].contents);
  await writeFile(join(to, "app.css"), style);
  await writeFile(join(to, "index.html"), page);
  await writeFile(join(to, "icon.svg"), await read("icon.svg"));
  await writeFile(join(to, "sources.sha256"), await sources());
}

const words = process.argv.slice(2);
const to = words.find((word) => !word.startsWith("-")) ?? join(HERE, "../static");
await make(to);
if (words.includes("--watch")) {
  for await (const { filename } of watch(HERE, { recursive: true })) {
    if (!filename || filename.startsWith("node_modules")) continue;
    await make(to).catch((error) => console.error(error.message));
  }
}
