// Where a picture lies in its box: fitted, zoomed about a point, moved, and kept from leaving. Plain
// arithmetic in CSS pixels, without a page: stage.js applies it.

/**
 * A view is the place of the fitted picture's top left corner in the box, and how many times larger
 * than fitted it is shown.
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number, scale: number}} View
 * @typedef {{x: number, y: number}} Point
 */

/** How many CSS pixels one pixel of a picture may cover: enough to count them. */
const LARGEST_PIXEL = 4;

/** Small pictures are enlarged to fill the box, but no further than this: they would only blur. */
const MOST_ENLARGED = 2;

/**
 * The largest size with the picture's shape that the box holds.
 * @param {Size} picture @param {Size} box @returns {Size}
 */
export function fit(picture, box) {
  const { width, height } = picture;
  if (!(width > 0 && height > 0 && box.width > 0 && box.height > 0)) return { width: 0, height: 0 };
  const factor = Math.min(box.width / width, box.height / height, MOST_ENLARGED);
  return { width: width * factor, height: height * factor };
}

/**
 * The largest scale that makes sense for a picture that is `sheet` wide when fitted.
 * @param {Size} picture @param {Size} sheet @returns {number}
 */
export function largestScale(picture, sheet) {
  return sheet.width > 0 ? Math.max(4, (LARGEST_PIXEL * picture.width) / sheet.width) : 1;
}

/**
 * The scale at which one pixel of the picture is one pixel of the screen.
 * @param {Size} picture @param {Size} sheet @param {number} density @returns {number}
 */
export function actualScale(picture, sheet, density) {
  return sheet.width > 0 ? picture.width / density / sheet.width : 1;
}

/** The view that shows all of it, in the middle. @param {Size} sheet @param {Size} box @returns {View} */
export function whole(sheet, box) {
  return keepIn({ x: 0, y: 0, scale: 1 }, sheet, box);
}

/**
 * The view moved as little as needed so that no edge leaves a gap; what is smaller than the box
 * is centred.
 * @param {View} view @param {Size} sheet @param {Size} box @returns {View}
 */
export function keepIn(view, sheet, box) {
  return {
    scale: view.scale,
    x: along(view.x, sheet.width * view.scale, box.width),
    y: along(view.y, sheet.height * view.scale, box.height),
  };
}

function along(start, length, room) {
  // Half a pixel: what fits but for rounding is centred too.
  if (length <= room + 0.5) return (room - length) / 2;
  return Math.min(0, Math.max(room - length, start));
}

/**
 * The view after zooming to `scale` while what is under `point` stays under it.
 * @param {View} view @param {number} scale @param {Point} point in the box
 * @param {Size} sheet @param {Size} box @param {number} most the largest scale @returns {View}
 */
export function zoomTo(view, scale, point, sheet, box, most) {
  const next = Math.min(Math.max(scale, 1), Math.max(most, 1));
  const ratio = next / view.scale;
  return keepIn(
    {
      scale: next,
      x: point.x - (point.x - view.x) * ratio,
      y: point.y - (point.y - view.y) * ratio,
    },
    sheet,
    box,
  );
}

/** The point between two. @param {Point} a @param {Point} b @returns {Point} */
export function middle(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/** How far two points are apart. @param {Point} a @param {Point} b @returns {number} */
export function apart(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
