"""Search quality as a number: how often the right picture, or the right text, is among the best.

    python benchmarks/quality.py DIR [--labels labels.json | --captions captions.tsv] [--model SPEC]...

DIR/labels.json or DIR/captions.tsv is taken by itself; where there is a dev.txt, only the files it
lists are used (--all for every file). For each model: recall at 1, 5 and 10 and the mean reciprocal
rank, from text to picture and from picture to text, as a table, and with --json FILE as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from folders import Described, Model, read_captions, read_labels
from imgqd.errors import ImgqError
from imgqd.records import Vectors

AT = (1, 5, 10)
Scores = npt.NDArray[np.float64]


def measure(pictures: Vectors, texts: Vectors, described: Described) -> dict[str, Any]:
    """Both directions. From picture to text the first of its texts that appears counts.

    Texts that are the same word for word describe all their pictures: any of them is right.
    """
    pairs = described.pairs
    scores = texts.astype(np.float64) @ pictures.T.astype(np.float64)
    right: dict[str, set[int]] = {}
    for place, text in pairs:
        right.setdefault(text, set()).add(place)
    forward = [
        _rank(scores[row], np.fromiter(right[text], dtype=np.int64))
        for row, (_, text) in enumerate(pairs)
    ]
    own: list[list[int]] = [[] for _ in described.names]
    for row, (_, text) in enumerate(pairs):
        for place in right[text]:
            own[place].append(row)
    backward = [
        _rank(scores[:, place], np.asarray(rows, dtype=np.int64)) for place, rows in enumerate(own)
    ]
    return {"text_to_picture": _summary(forward), "picture_to_text": _summary(backward)}


def _rank(scores: Scores, right: npt.NDArray[np.int64]) -> int:
    """The place, from 1, of the best of `right`; of equal scores the others come first."""
    best = scores[right].max()
    better = int((scores >= best).sum()) - int((scores[right] >= best).sum())
    return better + 1


def _summary(ranks: list[int]) -> dict[str, float | int]:
    places = np.asarray(ranks, dtype=np.float64)
    found: dict[str, float | int] = {
        f"recall_at_{k}": round(float((places <= k).mean()), 4) for k in AT
    }
    return {"queries": len(ranks), **found, "mrr": round(float((1 / places).mean()), 4)}


def described(args: argparse.Namespace) -> Described:
    """What the arguments name. Raises SystemExit with a sentence."""
    labels = args.labels or os.path.join(args.folder, "labels.json")
    captions = args.captions or os.path.join(args.folder, "captions.tsv")
    if args.captions is None and os.path.exists(labels):
        found = read_labels(args.folder, labels)
    elif os.path.exists(captions):
        part = os.path.join(args.folder, "dev.txt")
        found = read_captions(
            args.folder, captions, part if os.path.exists(part) and not args.all else None
        )
    else:
        raise SystemExit(f"{args.folder}: no labels.json and no captions.tsv; name one")
    if not found.names:
        raise SystemExit(f"{args.folder}: none of the files that are described is there")
    return found


def options(description: str) -> argparse.ArgumentParser:
    """The options that every measurement on such a folder takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--labels", metavar="FILE")
    parser.add_argument("--captions", metavar="FILE")
    parser.add_argument("--all", action="store_true", help="every file, whatever dev.txt says")
    parser.add_argument("--model", metavar="SPEC", action="append", default=[])
    parser.add_argument("--models-dir", metavar="DIR")
    parser.add_argument("--json", metavar="FILE", help="the figures as JSON; - is standard output")
    parser.add_argument(
        "--vectors",
        metavar="DIR",
        default=os.path.join(tempfile.gettempdir(), f"imgq-benchmarks-{os.getuid()}"),
        help="where the pictures' vectors are kept between runs",
    )
    return parser


def write_json(target: str | None, figures: Any) -> None:
    """Writes figures where --json says."""
    if target is None:
        return
    text = json.dumps(figures, indent=1)
    if target == "-":
        print(text)
        return
    with open(target, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")


def main() -> None:
    args = options(__doc__ or "").parse_args()
    folder = described(args)
    texts = [text for _, text in folder.pairs]
    figures = []
    table = sys.stderr if args.json == "-" else sys.stdout
    print(f"{len(folder.names)} pictures, {len(texts)} texts: {args.folder}", file=table)
    print(
        f"{'model':<28} {'direction':<16} {'R@1':>6} {'R@5':>6} {'R@10':>6} {'MRR':>6}", file=table
    )
    for spec in args.model or ["builtin"]:
        try:
            model = Model(spec, args.models_dir, args.vectors)
        except ImgqError as error:
            raise SystemExit(f"{spec}: {error.message}") from None
        result = measure(model.pictures(folder), model.text.encode(texts), folder)
        model.close()
        figures.append({"model": model.artifact.id, "folder": args.folder, **result})
        for way in ("text_to_picture", "picture_to_text"):
            row = result[way]
            numbers = " ".join(f"{row[key]:>6.3f}" for key in (*_KEYS, "mrr"))
            print(f"{model.artifact.id:<28} {way.replace('_', ' '):<16} {numbers}", file=table)
    write_json(args.json, figures)


_KEYS = tuple(f"recall_at_{k}" for k in AT)

if __name__ == "__main__":
    main()
