// What a person says of pictures from the page: tags, and the favourites, which are a tag, so that
// `imgq --tag favourite` finds the same.

import { api } from "./api.js";
import { toast } from "./dom.js";
import { T } from "./texts.js";

export const FAVOURITE = "favourite";
// As many as the daemon takes in one request.
const AT_ONCE = 1000;

/**
 * Changes what is said of pictures; says so, or why it failed.
 * @param {number[]} ids @param {Record<string, any>} change as in AnnotateRequest, without ids
 * @param {string} [done] what to say afterwards @returns {Promise<boolean>}
 */
export async function annotate(ids, change, done) {
  try {
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      await api.post("/annotate", { ids: ids.slice(at, at + AT_ONCE), ...change });
    }
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { danger: true });
    return false;
  }
}

/** @param {number} id @returns {Promise<boolean | null>} whether it is one now; null where that failed */
export async function toggleFavourite(id) {
  let tags;
  try {
    ({ tags } = await api.get(`/pictures/${id}`));
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { danger: true });
    return null;
  }
  const is = tags.includes(FAVOURITE);
  const change = is ? { remove_tags: [FAVOURITE] } : { add_tags: [FAVOURITE] };
  const ok = await annotate([id], change, is ? T.marking.notFavourite : T.marking.favourite);
  return ok ? !is : null;
}
