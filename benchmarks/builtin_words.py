"""Makes the built-in model's word files from packages that are installed with imgq.

`python benchmarks/builtin_words.py`: imagenet_classes.tsv and class_names.safetensors (what ConSE's
classes are called, and the embeddings of that), english_words.txt (English words that MiniLM's
vocabulary cuts into pieces, so that coverage.py knows them for English). Needs no pictures.
"""

from __future__ import annotations

import importlib.resources
import os
import re

import torch
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from builtin_features import TextFeatures
from imgqd.models import builtin
from imgqd.models.builtin_towers import WIDTH


def main() -> None:
    lists = importlib.resources.files("timm.data") / "_info"
    synsets = (lists / "imagenet_synsets.txt").read_text().split()
    lemmas = dict(
        line.split("\t")
        for line in (lists / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    )
    with open(os.path.join(builtin.DATA, "imagenet_classes.tsv"), "w", encoding="utf-8") as stream:
        for synset, name in zip(synsets, IMAGENET_CLASSNAMES, strict=True):
            stream.write(f"{synset}\t{name}\t{lemmas[synset]}\n")
    texts = TextFeatures(cache="")
    words = [lemmas[synset].split(", ") for synset in synsets]
    readable = sentences(texts, list(IMAGENET_CLASSNAMES))
    every_word = sentences(texts, [word for row in words for word in row])
    each = torch.split(every_word, [len(row) for row in words])
    first = torch.stack([row[0] for row in each])
    every = functional.normalize(torch.stack([row.mean(0) for row in each]), dim=1)
    names = functional.normalize(readable + first + every, dim=1)
    target = os.path.join(builtin.DATA, "class_names.safetensors")
    save_file({"embeddings": names.half().contiguous()}, target)
    found = {w for text in lemmas.values() for w in re.findall(r"[a-z]{3,}", text.lower())}
    cut = [word for word in sorted(found) if len(texts.tokenizer.encode(word).ids) > 3]
    with open(os.path.join(builtin.DATA, "english_words.txt"), "w", encoding="utf-8") as stream:
        stream.write("\n".join(cut) + "\n")
    print(f"{len(names)} classes, {len(cut)} words")


def sentences(texts: TextFeatures, lines: list[str]) -> Tensor:
    """Unit sentence embeddings, (n, WIDTH)."""
    features = torch.from_numpy(texts.compute(lines, list(range(len(lines)))))
    return functional.normalize(features[:, :WIDTH], dim=1)


if __name__ == "__main__":
    main()
