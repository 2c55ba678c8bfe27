"""What query expansion does to recall, from text to picture: plain, templates and words.

    python benchmarks/expansion.py DIR [--labels FILE | --captions FILE] [--model SPEC]...

The decision for each model, in imgqd/search/expansion.py, comes from here.
"""

from __future__ import annotations

import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from folders import Model
from imgqd.errors import ImgqError
from imgqd.records import Vectors
from imgqd.search.expansion import NEAREST, TEMPLATES, WAYS, expanded
from imgqd.search.phrases import Phrases
from imgqd.search.terms import Term, TextCache
from quality import described, measure, options, write_json


def main() -> None:
    args = options(__doc__ or "").parse_args()
    folder = described(args)
    texts = [text for _, text in folder.pairs]
    figures = []
    table = sys.stderr if args.json == "-" else sys.stdout
    print(f"{len(folder.names)} pictures, {len(texts)} texts: {args.folder}", file=table)
    for spec in args.model or ["builtin"]:
        try:
            model = Model(spec, args.models_dir, args.vectors)
        except ImgqError as error:
            raise SystemExit(f"{spec}: {error.message}") from None
        pictures = model.pictures(folder)
        cache = TextCache(len(texts) * (len(TEMPLATES) + NEAREST + 1))
        known = Phrases()
        for way in WAYS:
            rows = []
            for text in texts:
                terms = expanded(
                    (Term("text", text),),
                    way,
                    model=model.artifact.id,
                    tower=model.text,
                    cache=cache,
                    phrases=known,
                )
                vectors = cache.get(
                    model.artifact.id, [str(term.value) for term in terms], model.text
                )
                rows.append(
                    np.sum([t.weight * v for t, v in zip(terms, vectors, strict=True)], axis=0)
                )
            queries: Vectors = np.asarray(rows, dtype=np.float32)
            result = measure(pictures, queries, folder)["text_to_picture"]
            figures.append(
                {"model": model.artifact.id, "way": way, "folder": args.folder, **result}
            )
            print(f"{model.artifact.id:<28} {way:<10} {result}", file=table)
        model.close()
    write_json(args.json, figures)


if __name__ == "__main__":
    main()
