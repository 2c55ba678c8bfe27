"""How well --relevant keeps what is there and leaves out what is not.

    python benchmarks/relevance.py DIR [--labels FILE | --captions FILE] [--absent FILE] [--model SPEC]...

Each text that describes a picture of DIR is a query that should keep its picture; each line of
--absent (absent.txt beside this file) is one that should find nothing. Also tells what it costs.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from folders import Model
from imgqd.errors import ImgqError
from imgqd.search.phrases import phrases
from imgqd.search.relevance import SAMPLE, STANDS_OUT, Judge, Sample
from quality import described, options, write_json


def main() -> None:
    parser = options(__doc__ or "")
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--absent", metavar="FILE", default=os.path.join(here, "absent.txt"))
    args = parser.parse_args()
    folder = described(args)
    with open(args.absent, encoding="utf-8") as stream:
        absent = stream.read().splitlines()
    figures = []
    table = sys.stderr if args.json == "-" else sys.stdout
    print(f"{len(folder.names)} pictures, {len(folder.pairs)} texts: {args.folder}", file=table)
    for spec in args.model or ["builtin"]:
        try:
            model = Model(spec, args.models_dir, args.vectors)
        except ImgqError as error:
            raise SystemExit(f"{spec}: {error.message}") from None
        pictures = model.pictures(folder)
        some = np.random.default_rng(0).permutation(len(pictures))[:SAMPLE]
        sample = Sample.of(1, len(pictures), pictures[some], model.text.encode(phrases()))
        queries = model.text.encode([text for _, text in folder.pairs])
        kept = found = 0
        started = time.perf_counter()
        judges = [Judge(sample, query) for query in queries]
        each_ms = (time.perf_counter() - started) * 1000 / len(judges)
        for judge, (place, _) in zip(judges, folder.pairs, strict=True):
            standing = judge.relevance(pictures) >= STANDS_OUT
            kept += int(standing[place])
            found += int(standing.sum())
        empty = [
            text
            for text, query in zip(absent, model.text.encode(absent), strict=True)
            if not (Judge(sample, query).relevance(pictures) >= STANDS_OUT).any()
        ]
        model.close()
        row = {
            "model": model.artifact.id,
            "folder": args.folder,
            "present_kept": round(kept / len(judges), 4),
            "results_of_a_present_query": round(found / len(judges), 2),
            "absent_empty": round(len(empty) / len(absent), 4),
            "absent_found": [text for text in absent if text not in empty],
            "ms_a_query": round(each_ms, 3),
        }
        figures.append(row)
        print(
            f"{row['model']}: keeps its picture {row['present_kept']:.1%}"
            f" (with {row['results_of_a_present_query']} results), absent finds nothing"
            f" {row['absent_empty']:.1%}, {row['ms_a_query']} ms a query",
            file=table,
        )
    write_json(args.json, figures)


if __name__ == "__main__":
    main()
