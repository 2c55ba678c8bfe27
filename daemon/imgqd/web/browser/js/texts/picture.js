// Texts of a picture that is open.

import { count, plural } from "./words.js";

export const picture = {
  picture: {
    label: "Picture",
    stage: "The picture. Plus and minus zoom, Shift with the arrows moves it.",
    close: "Close the picture",
    previous: "Previous picture",
    next: "Next picture",
    zoom: "Zoom",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    fit: "Show all of it",
    actual: "One pixel for one pixel",
    move: "Move a zoomed picture",
    info: "What is known of it",
    favourite: "Favourite",
    isFavourite: "A favourite now",
    notFavourite: "No favourite any more",
    editTags: "Add tags",
    editDescription: "Describe it",
    /** @param {string} at @param {string} of */
    place: (at, of) => `${at} of ${of}`,
    /** @param {string} place @param {string} at @param {string} of */
    placeInStack: (place, at, of) => `${place}, ${at} of ${of} in its stack`,
    stack: "The stack: pictures that look alike",
    /** @param {number} at @param {number} of */
    stackMember: (at, of) => `Picture ${count.format(at)} of ${count.format(of)} in the stack`,
    /** @param {number} n */
    percent: (n) => `${n}%`,
    /** @param {number} n */
    percentLabel: (n) => `${n} percent of its size; show one pixel for one pixel`,
    /** @param {string} what */
    alt: (what) => what,
    /** @param {string} what @param {string} place */
    opened: (what, place) => (place ? `${what}, ${place}` : what),
    gone: "This picture is no longer in the library. It may have been moved, or deleted.",
    noThumbnail: "This picture cannot be read now. Its file may have moved, or its drive may be away.",
    noOriginal: "The original cannot be shown; this is the largest preview.",
    more: "More like this",
    less: "Less like this",
    but: "Similar, but…",
    butExample: "at night, in snow",
    search: "Search",
    description: "Description",
    describe: "What only you know about it",
    unsaved: "Not saved yet",
    saving: "Saving…",
    saved: "Saved",
    /** @param {string} why */
    notSaved: (why) => `Not saved: ${why}`,
    tags: "Tags",
    addTag: "Add a tag",
    add: "Add",
    /** @param {string} tag */
    tagAdded: (tag) => `Tag ${tag} added`,
    /** @param {string} tag */
    tagRemoved: (tag) => `Tag ${tag} removed`,
    /** @param {string} tag */
    removeTag: (tag) => `Remove the tag ${tag}`,
    /** @param {string} tag */
    showTag: (tag) => `${tag}: show all with this tag`,
    facts: "Details",
    taken: "Taken",
    modified: "Changed",
    size: "Size",
    /** @param {string} width @param {string} height @param {string} mega */
    pixels: (width, height, mega) => (mega ? `${width} × ${height} (${mega} MP)` : `${width} × ${height}`),
    file: "Format",
    camera: "Camera",
    lens: "Lens",
    rating: "Rating",
    /** @param {number} n */
    stars: (n) => (n < 0 ? "Rejected" : `${plural(n, "star", "stars")} of 5`),
    rejected: "Rejected",
    keywords: "Keywords",
    location: "Place",
    id: "Its name on the command line",
    copyId: "Copy its name on the command line",
    copyPlace: "Copy the place",
    /** @param {number} latitude @param {number} longitude */
    degrees: (latitude, longitude) => `${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}`,
    /** @param {number} km */
    near: (km) => `Within ${km} km`,
    /** @param {string} day */
    showDay: (day) => `Show all of ${day}`,
    /** @param {string} format */
    showFormat: (format) => `${format}: show all in this format`,
    /** @param {string} camera */
    showCamera: (camera) => `${camera}: show all from this camera`,
    /** @param {string} word */
    showKeyword: (word) => `${word}: show all with this keyword`,
    /** @param {string} folder */
    showFolder: (folder) => `${folder}: show all in this folder`,
    /** @param {string} category */
    showCategory: (category) => `Show all of ${category}`,
    category: "What it shows",
    noCategory: "not known",
    computed: "as computed",
    fields: "Your own fields",
    fieldName: "Name",
    fieldValue: "Value",
    /** @param {string} name */
    removeField: (name) => `Remove the field ${name}`,
    where: "File",
    /** @param {number} n */
    copies: (n) => `${count.format(n)} exact copies`,
    /** @param {string} name */
    copyPath: (name) => `Copy the path of ${name}`,
    /** @param {string} name */
    reveal: (name) => `Show ${name} in the file manager`,
    revealed: "Shown in the file manager",
    download: "Download",
    shot: "The same shot",
    film: "Film",
    /** @param {string} name */
    openMember: (name) => `Open ${name}`,
  },
};
