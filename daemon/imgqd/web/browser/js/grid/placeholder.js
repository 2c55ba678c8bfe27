// What is seen of a picture before its thumbnail: twelve coloured cells from the answer itself, which
// the browser blurs into one another as it stretches them.

// A picture in bytes: 12 cells of 4 bits each for red, green and blue, row by row.
const BYTES = 18;
const HEAD = 54;

/**
 * The cells of a picture as a CSS image: an uncompressed BMP in the URL itself, since nothing is
 * made faster, neither here nor by what reads it.
 * @param {Uint8Array} all of every picture @param {number} index @param {boolean} wide 4 x 3 cells,
 * else 3 x 4 @returns {string}
 */
export function blurred(all, index, wide) {
  const columns = wide ? 4 : 3;
  const rows = wide ? 3 : 4;
  const from = index * BYTES;
  if (from + BYTES > all.length) return "";
  // Rows of a BMP are filled up to a multiple of four bytes: 9 becomes 12.
  const stride = 12;
  const file = new Uint8Array(HEAD + stride * rows);
  const view = new DataView(file.buffer);
  file[0] = 0x42;
  file[1] = 0x4d;
  view.setUint32(2, file.length, true);
  view.setUint32(10, HEAD, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, columns, true);
  // A negative height: the rows come from the top.
  view.setInt32(22, -rows, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  /** @param {number} at nibble */
  const nibble = (at) => (at % 2 ? all[from + (at >> 1)] & 15 : all[from + (at >> 1)] >> 4) * 17;
  for (let cell = 0; cell < 12; cell += 1) {
    const to = HEAD + Math.floor(cell / columns) * stride + (cell % columns) * 3;
    file[to] = nibble(cell * 3 + 2);
    file[to + 1] = nibble(cell * 3 + 1);
    file[to + 2] = nibble(cell * 3);
  }
  return `url("data:image/bmp;base64,${btoa(String.fromCharCode(...file))}")`;
}
