// Texts of looking after imgq: folders, problems, model, status.

import { plural } from "./words.js";

export const admin = {
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
