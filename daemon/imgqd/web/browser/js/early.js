// Asks for the first pictures while the page's script is still on its way, so that both arrive
// together. Only for the plain cases: nothing asked, or a text alone; and not with a fresh link,
// whose key has to become a session first. Stands in the page itself (build.mjs): not a module.
(() => {
  const values = new URLSearchParams(location.search);
  const q = values.get("q")?.trim();
  if (location.hash || [...values.keys()].some((name) => name !== "q")) return;
  const body = JSON.stringify({ terms: [], ...(q ? { q } : {}), most: 60, alike: true });
  const answer = fetch("/v1/grid", {
    method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body,
  }).then(async (response) => ({ ok: response.ok, status: response.status, data: await response.json().catch(() => null) }));
  // Whoever takes the answer hears of its failure; where nobody does, it does not matter.
  answer.catch(() => {});
  window.imgqEarly = { body, answer };
})();
