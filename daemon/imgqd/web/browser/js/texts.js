// Every text that the page shows or says to a screen reader. To translate the page, translate the files
// in texts/; their names are those of the views.

import { admin } from "./texts/admin.js";
import { asking } from "./texts/asking.js";
import { collections } from "./texts/collections.js";
import { frame } from "./texts/frame.js";
import { grid } from "./texts/grid.js";
import { numbers } from "./texts/numbers.js";
import { picture } from "./texts/picture.js";

export const T = { ...frame, ...asking, ...grid, ...picture, ...collections, ...numbers, ...admin };

export { day, files, moment, month, number, pictures, plural, size } from "./texts/words.js";
