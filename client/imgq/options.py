"""The one table of `imgq`'s options.

Parsing, --help, --help-all, man pages and completions are all made from TABLE. What a value means
is decided in query.py and cli.py.
"""

from __future__ import annotations

ASK, FILTER, SHOW, OTHER = "What to look for", "Which pictures", "How to answer", "Other"
SAY = "What you say of pictures"
GROUPS = (ASK, FILTER, SHOW, SAY, OTHER)
FORMATS = ("list", "paths", "print0", "scores", "json", "jsonl", "csv")


class Option:
    """One option.

    `names` hold the long name last; `argument` is the word for its value in help ("" for a flag);
    `optional` marks a value that is given with `=` only; `number` a value that may look like an
    option (-0.1); `asks` an option that makes a query without TEXT; `complete` is what a shell
    should offer: "file", "dir", "tag", or nothing.
    """

    __slots__ = (
        "argument",
        "asks",
        "choices",
        "complete",
        "everyday",
        "example",
        "group",
        "help",
        "key",
        "names",
        "number",
        "optional",
        "repeat",
    )

    def __init__(
        self,
        names: str,
        argument: str,
        group: str,
        help: str,
        example: str,
        *,
        everyday: bool = False,
        repeat: bool = False,
        optional: bool = False,
        number: bool = False,
        asks: bool = False,
        choices: tuple[str, ...] = (),
        complete: str = "",
    ) -> None:
        self.names = tuple(names.split())
        self.key = self.names[-1].lstrip("-")
        self.argument = argument
        self.group = group
        self.help = help
        self.example = example
        self.everyday = everyday
        self.repeat = repeat
        self.optional = optional
        self.number = number
        self.asks = asks
        self.choices = choices
        self.complete = complete


PREVIEWS = ("auto", "kitty", "iterm", "sixel", "blocks", "off")

# A row each: easier to read than a dozen lines.
# fmt: off
TABLE: tuple[Option, ...] = (
    Option("--like", "X[^W]", ASK, "an example: a file, a URL, id:N, or - for standard input",
           "imgq --like beach.jpg 'at night'", everyday=True, repeat=True, asks=True,
           complete="file"),
    Option("--not", "TEXT[^W]", ASK, "what the pictures must not be", "imgq beach --not people",
           everyday=True, repeat=True, asks=True),
    Option("--not-like", "X[^W]", ASK, "an example of what the pictures must not be",
           "imgq dog --not-like id:12", repeat=True, asks=True, complete="file"),
    Option("--literal", "", ASK, "take TEXT as it stands: no ' + ', no ^W",
           "imgq --literal 'C^2 + 1'"),
    Option("--in", "DIR", FILTER, "only below this folder", "imgq sunset --in ~/Pictures/2024",
           everyday=True, repeat=True, asks=True, complete="dir"),
    Option("--after", "D", FILTER, "taken from D on: 2024, 2024-06, 2024-06-30, '2 weeks ago'",
           "imgq snow --after 2024-11", everyday=True, asks=True),
    Option("--before", "D", FILTER, "taken before D begins",
           "imgq snow --after 2023-11 --before 2024-04", everyday=True, asks=True),
    Option("--type", "T[,T]", FILTER, "only these formats: jpeg, png, heic, raw, ...",
           "imgq diagram --type png,webp", repeat=True, asks=True),
    Option("--camera", "TEXT", FILTER, "only from cameras whose name has TEXT",
           "imgq --camera pixel cat", asks=True),
    Option("--near", "LAT,LON,KM", FILTER, "only taken within KM kilometres of a place",
           "imgq harbour --near -33.9,18.4,10", number=True, asks=True),
    Option("--tag", "T", FILTER, "only with this tag", "imgq --tag holiday boat", repeat=True,
           asks=True, complete="tag"),
    Option("--category", "C", FILTER,
           "only what shows C: food, mountain, ... (imgq --facets lists them)",
           "imgq --category food --after 2024", asks=True),
    Option("--rating", "N", FILTER, "only with at least N stars", "imgq sunset --rating 4",
           number=True, asks=True),
    Option("--text", "WORDS", FILTER,
           "only with all WORDS in path, title, description, keywords or tags",
           "imgq --text 'anna birth*'", repeat=True, asks=True),
    Option("--where", "KEY=VALUE", FILTER, "only with this field of your own (or lens=, keyword=)",
           "imgq --where print=A4", repeat=True, asks=True),
    Option("--min-size", "WxH", FILTER, "only at least this many pixels wide and high",
           "imgq mountain --min-size 3840x2160", asks=True),
    Option("--orientation", "O", FILTER, "landscape, portrait or square",
           "imgq forest --orientation portrait", asks=True,
           choices=("landscape", "portrait", "square")),
    Option("--min-score", "S", FILTER, "only scores of at least S (-1 to 1)",
           "imgq cat --min-score 0.25", number=True),
    Option("--relevant", "", FILTER, "only what stands out; nothing when nothing does",
           "imgq --relevant lighthouse", everyday=True),
    Option("--expand", "HOW", ASK, "ask for variations of TEXT too: words, templates, off",
           "imgq --expand puppy", optional=True, choices=("words", "templates", "off")),
    Option("--diverse", "", SHOW, "good results that do not all show the same",
           "imgq --diverse -n 12 birthday"),
    Option("-n --top", "N", SHOW, "how many results (10; 1 to 1000)", "imgq -n 50 bicycle",
           everyday=True, number=True),
    Option("--offset", "N", SHOW, "leave out the first N results", "imgq bicycle --offset 10",
           number=True),
    Option("-l --paths", "", SHOW, "paths only, one a line (so by itself in a pipe)",
           "imgq -l cat | head -3", everyday=True),
    Option("-0 --print0", "", SHOW, "paths ended by NUL, for xargs -0",
           "imgq -0 cat | xargs -0 cp -t /tmp", everyday=True),
    Option("--scores", "", SHOW, "SCORE<TAB>PATH lines", "imgq --scores cat", everyday=True),
    Option("--json", "", SHOW, "everything about the answer, as one JSON object",
           "imgq --json cat | jq '.results[0].path'", everyday=True),
    Option("--all", "", SHOW, "RAW and JPEG of a shot, or a Live Photo's parts, each as a result",
           "imgq sunset --all --type raw,jpeg"),
    Option("--facets", "", SHOW, "count by year, month, folder, format, camera, category, tag",
           "imgq --facets --in ~/Pictures/2024", asks=True),
    Option("--jsonl", "", SHOW, "one JSON object a line for each result", "imgq --jsonl cat"),
    Option("--csv", "", SHOW, "a table with a heading line", "imgq --csv cat > cats.csv"),
    Option("--format", "F", SHOW,
           "a line for each result, made from {path}, {score}, {id}, {rank}, ...",
           "imgq --format '{score:.3f} {path}' cat"),
    Option("--preview", "HOW", SHOW, "show the pictures: auto, kitty, iterm, sixel, blocks, off",
           "imgq --preview=blocks cat", everyday=True, optional=True, choices=PREVIEWS),
    Option("--open", "", SHOW, "open the results in the desktop's viewer", "imgq --open -n 3 cat"),
    Option("--copy-to", "DIR", SHOW, "copy the results into DIR; nothing is overwritten",
           "imgq --copy-to ~/best -n 20 sunset", complete="dir"),
    Option("--link-to", "DIR", SHOW, "the same with links instead of copies",
           "imgq --link-to ~/best -n 20 sunset", complete="dir"),
    Option("--web", "", SHOW, "open the page in the browser, with the results", "imgq --web cat"),
    Option("--tag-add", "T", SAY, "give pictures a tag", "imgq --tag-add holiday id:12 id:13",
           repeat=True, complete="tag"),
    Option("--tag-remove", "T", SAY, "take a tag from pictures", "imgq --tag-remove holiday id:12",
           repeat=True, complete="tag"),
    Option("--describe", "id:N", SAY, "describe a picture in your own words; '' takes them away",
           "imgq --describe id:12 'Anna and the goat'"),
    Option("--set", "KEY=VALUE", SAY, "set a field of your own; KEY= takes it away",
           "imgq --set print=A4 id:12", repeat=True),
    Option("--set-category", "C", SAY, "say what a picture shows; auto takes that back",
           "imgq --set-category mountain id:12"),
    Option("--watch", "DIR", OTHER, "watch DIR, wait until it is indexed, then answer",
           "imgq --watch ~/Pictures 'sunset over ocean'", everyday=True, repeat=True, asks=True,
           complete="dir"),
    Option("--sync", "", OTHER, "answer once every change on disk before now is searchable",
           "cp new.jpg ~/Pictures && imgq --sync cat", everyday=True),
    Option("--timeout", "S", OTHER, "give up after S seconds (60; with --watch, --sync: never)",
           "imgq --timeout 5 cat", everyday=True, number=True),
    Option("--duplicates", "", OTHER, "groups of pictures that look the same, exact copies first",
           "imgq --duplicates --in ~/Pictures"),
    Option("--threshold", "S", OTHER, "with --duplicates: how alike, as a cosine (0.95; 0.5 to 1)",
           "imgq --duplicates --threshold 0.98", number=True),
    Option("--history", "HOW", OTHER, "what was asked last (20; -n says otherwise); --history=clear forgets it",
           "imgq --history -n 50", optional=True, choices=("show", "clear")),
    Option("--save", "NAME", OTHER,
           "keep this question; @NAME asks it again, with more words or options",
           "imgq --save cats cat --in ~/Pictures; imgq @cats -n 3"),
    Option("--saved", "", OTHER, "the questions that were saved", "imgq --saved"),
    Option("--forget", "NAME", OTHER, "remove a saved question", "imgq --forget cats",
           complete="saved"),
    Option("--completions", "KIND", OTHER, "for shells: one a line, tags, saved or folders",
           "imgq --completions tags", choices=("tags", "saved", "folders")),
    Option("-h --help", "", OTHER, "the everyday options", "imgq --help"),
    Option("--help-all", "", OTHER, "all options, each with an example", "imgq --help-all"),
    Option("--version", "", OTHER, "the version of imgq", "imgq --version"),
)
# fmt: on
