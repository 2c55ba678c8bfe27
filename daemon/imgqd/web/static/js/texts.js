// Every text that the page shows or says to a screen reader. To translate the page, translate this.

const count = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat("en", { dateStyle: "long" });
const times = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const months = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

/** @param {number} n @param {string} one @param {string} many */
const plural = (n, one, many) => `${count.format(n)} ${n === 1 ? one : many}`;

/** A whole number for people. @param {number} n */
export const number = (n) => count.format(n);

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {string} iso */
export const day = (iso) => dates.format(new Date(iso));
/** @param {string} iso */
export const moment = (iso) => times.format(new Date(iso));
/** @param {string} month 2024-06 */
export const month = (month) => months.format(new Date(`${month}-15T00:00:00Z`));

export const T = {
  name: "imgq",
  close: "Close",
  cancel: "Cancel",
  loading: "Loading",
  copied: "Copied",
  copyFailed: "The browser did not allow copying. Select the text and copy it yourself.",
  skip: "Skip to the pictures",
  retry: "Try again",

  errors: {
    lost: "Not connected",
    unreachable: "imgq's daemon does not answer. It may have been stopped: type `imgq --web` in a terminal to start it.",
    /** @param {number} status */
    status: (status) => `imgq's daemon failed (HTTP ${status}). Type \`imgqd logs\` in a terminal to see why.`,
    view: "This part of the page could not be loaded. Reload the page; if that does not help, install imgq again.",
  },

  enter: {
    title: "Open this page from a terminal",
    text: "Your pictures are shown only to you. In a terminal, type",
    command: "imgq --web",
    after: "and this page opens with a key of its own. The key is good once, for a minute.",
    expired: "That link was used before, or is older than a minute.",
  },

  views: {
    label: "Views",
    menu: "Menu",
    grid: "Pictures",
    collections: "Collections",
    duplicates: "Duplicates",
    numbers: "Numbers",
    folders: "Folders",
    problems: "Problems",
    model: "Model",
    status: "Status",
  },

  home: "imgq: all pictures",
  /** @param {number} done @param {number} total */
  indexing: (done, total) => `${count.format(done)} of ${count.format(total)} pictures are indexed`,

  ask: {
    label: "Ask for pictures",
    placeholder: "Describe a picture",
    go: "Search",
    clear: "Clear the search",
    example: "Search with an image of your own",
    offers: "Suggestions",
    saved: "Saved searches",
    tag: "Tags",
    history: "Asked before",
    /** @param {number} n */
    withFilters: (n) => `+ ${plural(n, "filter", "filters")}`,
    like: "More like this",
    unlike: "Less like this",
    yours: "Your image",
    exampleGone: "Your image is gone",
    exampleGoneWhy: "An image of your own is not kept over a reload. Drop or paste it again.",
    drop: "Drop the image to find pictures like it",
    /** @param {string} name */
    notImage: (name) => `${name} is not an image. Drop a photo or a picture file.`,
    /** @param {string} name */
    tooLarge: (name) => `${name} is larger than 60 MB and this browser cannot make it smaller. Save a smaller copy of it first.`,
    /** @param {string} name */
    unreadable: (name) => `${name} cannot be read. Check that the file is still there.`,
  },

  filters: {
    label: "Filters",
    folder: "Folder",
    date: "Date",
    type: "Format",
    camera: "Camera",
    tag: "Tag",
    category: "Category",
    rating: "Rating",
    orientation: "Shape",
    landscape: "Landscape",
    portrait: "Portrait",
    square: "Square",
    /** @param {string} what */
    remove: (what) => `Remove: ${what}`,
    /** @param {string} name */
    none: (name) => ({
      folder: "There are no folders here.", type: "There are no pictures here.", camera: "No picture here names its camera.",
      tag: "No picture here has a tag. Select some to tag them.", category: "No picture here has a category yet.",
    })[name] ?? "Nothing here.",
    noneFits: "None fits.",
    /** @param {string} name */
    find: (name) => `Find a ${name}`,
    /** @param {number} n */
    all: (n) => `Show all ${count.format(n)}`,
    /** @param {number} n */
    stars: (n) => (n < 0 ? "Rejected too" : n === 0 ? "Not rejected" : n === 5 ? "5 stars" : `${plural(n, "star", "stars")} or more`),
    /** @param {string} place LAT,LON,KM */
    near: (place) => { const [lat, lon, km] = place.split(","); return `Within ${km} km of ${lat}, ${lon}`; },
    /** @param {string} words */
    words: (words) => `With the words ${words}`,
    /** @param {string} size */
    minSize: (size) => `At least ${size.replace("x", " × ")}`,
    /** @param {string} score */
    minScore: (score) => `Score of at least ${score}`,
    relevant: "Only what fits",
    diverse: "Varied",
    everyFile: "Every file of a shot",
  },

  dates: {
    day, month,
    any: "Any time",
    week: "Last 7 days",
    month30: "Last 30 days",
    from: "From",
    to: "To",
    apply: "Apply",
    /** @param {string} a @param {string} b */
    between: (a, b) => `${a} – ${b}`,
    /** @param {string} a */
    since: (a) => `Since ${a}`,
    /** @param {string} a */
    until: (a) => `Before ${a}`,
  },

  /** @param {string} word as the daemon names formats */
  format: (word) => ({ jpeg: "JPEG", png: "PNG", heic: "HEIC", webp: "WebP", gif: "GIF", avif: "AVIF", tiff: "TIFF", raw: "RAW", bmp: "BMP", jxl: "JPEG XL" })[word] ?? word,

  sort: { label: "Sort", best: "Best first", newest: "Newest first", oldest: "Oldest first" },
  panel: { label: "Refine", toggle: "Refine" },
  timeline: { label: "When pictures were taken", from: "Taken from", to: "Taken until" },

  grid: {
    label: "Pictures",
    /** @param {number} n */
    picture: (n) => `Picture ${count.format(n)}`,
    /** What stands behind a picture. @param {{copies: number, shots: number, alike: unknown[]}} of */
    stack: ({ copies, shots, alike }) => [
      copies && plural(copies, "exact copy", "exact copies"),
      shots && `${plural(shots, "more file", "more files")} of this shot`,
      alike.length && `${count.format(alike.length)} more that ${alike.length === 1 ? "looks" : "look"} alike`,
    ].filter(Boolean).join(", "),
    /** @param {string} what */
    unstack: (what) => `${what}: show them here, or no longer`,
    /** @param {number} n */
    stackOpened: (n) => `The stack is open: ${plural(n, "picture", "pictures")}`,
    stackClosed: "The stack is closed",
    stacking: "Stack pictures that look alike",
    /** @param {number} score @param {number | null} relevance */
    score: (score, relevance) => (relevance === null ? score.toFixed(3) : `${Math.round(relevance * 100)}% · ${score.toFixed(3)}`),
    /** @param {any} picture as /v1/pictures gives it */
    named: (picture) => {
      const name = picture.title || picture.path.split(/[\\/]/).at(-1);
      const when = picture.taken ? `, ${day(picture.taken)}` : "";
      const shows = picture.description ? `, ${picture.description}` : "";
      return `${name}${when}${shows}`;
    },
    /** @param {number} n */
    fresh: (n) => `${count.format(n)} new`,
    /** @param {number} n */
    best: (n) => `The best ${count.format(n)}`,
  },

  select: {
    label: "Selected pictures",
    clear: "Clear the selection",
    /** @param {number} n */
    count: (n) => `${count.format(n)} selected`,
    like: "Find similar",
    favourite: "Favourite",
    /** @param {number} n */
    favourited: (n) => `${plural(n, "picture is a favourite", "pictures are favourites")} now`,
    tag: "Tag",
    /** @param {number} n */
    tagTitle: (n) => `Tag ${plural(n, "picture", "pictures")}`,
    tagLabel: "Tags, with commas between them",
    tagPlaceholder: "norway, to print",
    addTags: "Add",
    removeTags: "Remove",
    /** @param {number} n @param {string[]} tags @param {boolean} added */
    tagged: (n, tags, added) => `${tags.join(", ")} ${added ? "added to" : "removed from"} ${plural(n, "picture", "pictures")}`,
    copy: "Copy paths",
    /** @param {number} n */
    copied: (n) => `${plural(n, "path", "paths")} copied`,
  },

  marking: { favourite: "A favourite now", notFavourite: "No favourite any more" },

  empty: {
    welcome: "Which pictures shall imgq look at?",
    addFolder: "Choose a folder of photographs. They stay where they are, and nothing leaves this computer.",
    chooseFolder: "Choose a folder",
    orTerminal: "Or in a terminal:",
    indexing: "Looking at your pictures",
    indexingText: "The first ones appear here in a moment. You can search while the rest follow.",
    noPictures: "No pictures here yet",
    noPicturesText: "The folders that imgq watches hold no picture that it can read.",
    notFound: "Nothing fits",
    /** @param {string} q */
    notFoundFor: (q) => `Nothing fits “${q.trim()}”`,
    tryFilters: "Something may fit without the filters.",
    tryWords: "Try fewer or other words: what is to be seen, not the name of a file.",
    dropFilters: "Remove the filters",
    lessStrict: "Show what fits less well",
    showAll: "Show all pictures",
    /** @param {number} n */
    stillIndexing: (n) => `${plural(n, "picture is", "pictures are")} still to be indexed.`,
    notNow: "Not yet",
    failed: "That did not work",
    triesAgain: "This page tries again by itself.",
  },

  keys: {
    everywhere: "Everywhere",
    grid: "In the grid",
    ask: "Ask",
    help: "This help",
    move: "Move between pictures",
    ends: "First and last picture",
    open: "Open the picture",
    select: "Select the picture",
    selectMore: "Select a range, or all",
    favourite: "Make it a favourite, or not any more",
    stack: "Open or close a stack of pictures that look alike",
    clear: "Clear the selection",
    names: { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Enter: "Enter", Space: "Space", Shift: "Shift", Ctrl: "Ctrl" },
  },

  help: {
    open: "Help and keys",
    title: "Help",
    asking: "What you can ask",
    language: [
      ["a dog on the beach", "what is to be seen, in your words"],
      ["beach + sunset^2", "several things together, the second twice as important"],
      ["beach -people", "and what is not to be seen"],
      ["-\"parked cars\"", "more than one word that is not to be seen"],
      ["id:12", "like the picture of this name"],
    ],
  },

  theme: { label: "Appearance", system: "System", light: "Light", dark: "Dark" },

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

  collections: {
    favourites: "Favourites",
    noFavourites: "Give a picture a star, and it is here. In a terminal: imgq --tag favourite",
    /** @param {string} what */
    allOf: (what) => `Show all: ${what}`,
    /** @param {number} id */
    open: (id) => `Open the favourite picture ${id}`,
    saved: "Saved searches",
    keep: "Keep the present question under a name",
    askFirst: "Ask something first; then it can be kept here under a name.",
    nameExample: "a-name",
    save: "Save",
    /** @type {Record<string, string>} */
    untold: { in: "a folder whose name is not text", example: "the example from this computer", sort: "the order" },
    /** @param {string} what */
    leftOut: (what) => `Not kept: ${what}. A saved question is one that a terminal can ask too.`,
    replaceTitle: "Replace it?",
    /** @param {string} name */
    replace: (name) => `There is a saved search ${name} already. Replace it with this question?`,
    replaceYes: "Replace",
    /** @param {string} name */
    kept: (name) => `Saved. In a terminal: imgq @${name}`,
    noneSaved: "Nothing is saved yet.",
    /** @param {string} options @param {string} name */
    unknown: (options, name) => `This page leaves out ${options}; in a terminal, imgq @${name} asks all of it.`,
    /** @param {string} options */
    only: (options) => `This page leaves out ${options}.`,
    /** @param {string} name */
    copyCommand: (name) => `Copy the command imgq @${name}`,
    /** @param {string} name */
    rename: (name) => `Rename ${name}`,
    renameYes: "Rename",
    newName: "New name: letters, digits, - . and _",
    /** @param {string} name */
    taken: (name) => `There is a saved search ${name} already.`,
    /** @param {string} name */
    renamed: (name) => `It is ${name} now`,
    /** @param {string} name */
    forget: (name) => `Remove ${name}`,
    forgetTitle: "Remove this saved search?",
    /** @param {string} name */
    forgetText: (name) => `${name} is removed here and from the command line. Pictures are not touched.`,
    forgetYes: "Remove",
    history: "History",
    noHistory: "Nothing was asked yet.",
    notKept: "No history is kept (setting history). What was kept before is below.",
    clear: "Clear the history",
    clearTitle: "Clear the history?",
    clearText: "What was asked here and in terminals is forgotten.",
    cleared: "The history is empty",
  },

  duplicates: {
    what: "Pictures that look the same. Choose what to keep; the paths of the rest can be copied. Nothing is ever deleted here.",
    threshold: "How alike",
    /** @param {number} cosine */
    alike: (cosine) => (cosine >= 1 ? "the same (1.000)" : `${cosine.toFixed(3)} or more`),
    rule: "Suggest to keep",
    /** @type {Record<string, string>} */
    rules: { largest: "the largest", oldest: "the oldest", newest: "the newest", shortest: "the shortest path" },
    /** @param {string} folders */
    inside: (folders) => `Only below ${folders}`,
    odd: "a folder whose name is not text",
    looking: "Looking for pictures that look the same…",
    none: "No two pictures look that much alike.",
    /** @param {number} groups @param {number} exact */
    found: (groups, exact) => `${plural(groups, "group", "groups")}, ${count.format(exact)} of them exact copies`,
    pages: "Pages of groups",
    before: "Groups before these",
    after: "Groups after these",
    /** @param {string} from @param {string} to @param {string} of */
    page: (from, to, of) => `${from} to ${to} of ${of}`,
    /** @param {number} n */
    exact: (n) => `${count.format(n)} exact copies`,
    /** @param {number} n @param {number} cosine */
    near: (n, cosine) => `${count.format(n)} alike (${cosine.toFixed(3)})`,
    /** @param {string} at @param {string} what */
    group: (at, what) => `Group ${at}: ${what}`,
    keep: "Keep",
    keepAll: "Keep all",
    /** @param {number} n */
    rest: (n) => (n ? `${count.format(n)} not kept` : "all kept"),
    keepOne: "Keep at least one; until then none of these is listed.",
    /** @param {number} n */
    more: (n) => `Show ${plural(n, "more file", "more files")}`,
    /** @param {string} name */
    open: (name) => `Open ${name}`,
    list: "List the paths",
    /** @param {string} what @param {string} size */
    notKept: (what, size) => `Not kept: ${what}, ${size}`,
    /** @param {string} what */
    listTitle: (what) => `Not kept: ${what}`,
    never: "imgq deletes nothing. Look at the list before you give it to a program that does.",
    paths: "Paths that are not kept",
    /** @param {string} what */
    andMore: (what) => `… and ${what} more`,
    /** @param {string} what */
    oddNames: (what) => `The names of ${what} have line breaks or bytes that are not text, so they are not in the lines. They are in the other two forms.`,
    saveNul: "Save with NUL between",
    copyShell: "Copy quoted for a shell",
    copyLines: "Copy, one a line",
    /** @param {string} what */
    copied: (what) => `The paths of ${what} are copied`,
  },

  numbers: {
    library: "The library",
    use: "How it is used",
    empty: "There is nothing to count yet.",
    year: "By year",
    format: "By format",
    camera: "By camera",
    category: "By what they show",
    noValue: "unknown",
    asTable: "As a table",
    value: "Value",
    pictures: "Pictures",
    day: "Day",
    searches: "Searches",
    half: "Half answered within",
    most: "95% answered within",
    word: "Word",
    /** @param {number} n */
    others: (n) => `${count.format(n)} others`,
    /** @param {string} what @param {string[]} items */
    alternative: (what, items) => `${what}: ${items.join("; ")}`,
    /** @param {string} value @param {string} n */
    item: (value, n) => `${value} ${n}`,
    perDay: "Searches a day",
    latency: "Time to answer",
    /** @param {number} ms */
    ms: (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`),
    /** @param {number} n @param {string} day */
    total: (n, day) => `${plural(n, "search", "searches")} since ${day}`,
    noSearches: "Nothing was asked in this time.",
    words: "Words in questions",
    noWords: "Words are not counted; the setting count_words switches it on.",
    none: "None yet.",
    forgetWords: "Forget the words",
    forgetTitle: "Forget the words?",
    forgetText: "The counts of words in all questions are removed.",
    /** @param {string} value */
    show: (value) => `Show pictures: ${value}`,
    days: "Time",
    /** @param {number} n */
    lastDays: (n) => `Last ${n} days`,
  },

  admin: {
    sections: "Looking after imgq",
    /** @type {Record<string, string>} */
    states: { starting: "Starting", indexing: "Indexing", idle: "Up to date", stopping: "Stopping" },
    paused: "Paused",
    pausedBattery: "Paused on battery power",
    pause: "Pause indexing",
    resume: "Go on indexing",
    progress: "Progress of indexing",
    /** @param {string} done @param {string} total */
    of: (done, total) => `${done} of ${total}`,
    /** @type {Record<string, string>} */
    stages: { index: "Looking at new and changed files", scan: "Looking through the folders", embed: "Looking at every picture with the new model",
      download: "Downloading the model", load: "Loading the model", export: "Making the model ready", check: "Checking the model" },
    pictures: "Pictures",
    files: "Files",
    problems: "Problems",
    waiting: "Waiting",
    searches: "Searches",
    halfWithin: "Half within",
    memory: "Memory",
    running: "Running for",
    /** @param {number} s */
    duration: (s) => (s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`),
    version: "Version",
    index: "Index",
    home: "Home",
    lost: "The daemon does not answer. This page tries again by itself.",
    latest: "What happened last",
    /** @type {Record<string, string>} */
    events: { "picture-added": "New", "picture-changed": "Changed", "picture-removed": "Gone", problem: "Problem", folder: "Folders changed", model: "Model changed" },
    quiet: "Nothing yet since this page was opened.",

    foldersWhat: "imgq watches these folders and everything in them.",
    noFolders: "No folder is watched yet. Add the one where your pictures are.",
    add: "Add a folder",
    /** @type {Record<string, string>} */
    folderStates: { watching: "Watched", polling: "Looked at now and then", scanning: "Being looked through", offline: "Not there" },
    offline: "The folder or its drive is not there. Nothing is forgotten; it goes on when it is back.",
    /** @param {string} globs */
    exclude: (globs) => `Without ${globs}`,
    /** @param {string} path */
    show: (path) => `Show the pictures in ${path}`,
    /** @param {string} path */
    remove: (path) => `Stop watching ${path}`,
    removeTitle: "Stop watching this folder?",
    /** @param {string} path */
    removeText: (path) => `${path} is no longer searched. No file is touched; tags and descriptions are kept for a while.`,
    removeYes: "Stop watching",
    /** @param {string} path */
    added: (path) => `${path} is watched now`,
    /** @param {string} path */
    removed: (path) => `${path} is no longer watched`,
    pickTitle: "Which folder?",
    folders: "Folders",
    up: "Up",
    /** @param {string} path */
    here: (path) => `Folder ${path}`,
    noneHere: "There are no folders in this one.",
    moreFolders: "There are more; type the path of the one you mean.",
    watched: "watched",
    already: "This folder is watched already.",
    path: "Path",
    go: "Go",
    watchThis: "Watch this folder",
    notLocal: "Folders are picked on the daemon's own machine. In a terminal there: imgqd add DIR",

    problemsWhat: "Files that look like pictures and could not be indexed.",
    noProblems: "Every file could be read.",
    retryAll: "Try all again",
    /** @param {string} name */
    retryOne: (name) => `Try ${name} again`,
    /** @param {number} n */
    retried: (n) => `${plural(n, "file is", "files are")} tried again`,
    /** @type {Record<string, string>} */
    reasons: { corrupt: "Damaged", "too-large": "Too large", "too-small": "Too small", timeout: "Took too long", crashed: "The decoder crashed", unsupported: "Not a format that is known",
      unreadable: "Cannot be read", memory: "Needs too much memory" },
    /** @param {number} n @param {string} since */
    tried: (n, since) => `tried ${plural(n, "time", "times")}, since ${since}`,
    all: "All",
    reason: "Reason",
    before: "Before these",
    after: "After these",

    answers: "Answers come from",
    wanted: "Wanted",
    dimension: "Numbers a picture",
    runtime: "Runs with",
    device: "On",
    vectors: "Pictures it knows",
    none: "no model yet",
    better: "A better model is ready",
    change: "Change the model",
    spec: "Model",
    specHelp: "auto, builtin, ARCH/PRETRAINED (ViT-B-32/openai), hf-hub:ORG/NAME or local-dir:PATH",
    anyway: "Look at all pictures again at once, even in a large library",
    changeYes: "Change",
    meanwhile: "Questions are answered with the model of before until the new one has seen every picture.",
    changing: "The model is being made ready",
  },
};

/** @param {number} n */
export const pictures = (n) => plural(n, "picture", "pictures");
/** @param {number} n */
export const files = (n) => plural(n, "file", "files");
export { plural };
