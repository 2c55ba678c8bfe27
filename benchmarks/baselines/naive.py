"""What a first program does, as its own process: no batches, no threads of its own, nothing resident.

`python naive.py index MODELDIR DIR OUT`: one picture at a time, full decode, open_clip in torch,
IndexFlatIP, SQLite, saved at the end. `python naive.py query MODELDIR OUT TEXT`: start, load the model,
load the index, encode, search, print.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from typing import Any

import faiss
import open_clip
import torch
from PIL import Image


def load(directory: str) -> tuple[Any, Any, Any]:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{directory}")
    return model.eval(), preprocess, open_clip.get_tokenizer(f"local-dir:{directory}")


def index(directory: str, photos: str, out: str) -> dict[str, float]:
    """Returns the seconds of indexing, by the clock and of processor time, the loading of the model not included."""
    model, preprocess, _ = load(directory)
    started, used = time.perf_counter(), time.process_time()
    database = sqlite3.connect(os.path.join(out, "naive.db"))
    database.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, path TEXT)")
    vectors = faiss.IndexFlatIP(512)
    count = 0
    for folder, _, names in os.walk(photos):
        for name in sorted(names):
            path = os.path.join(folder, name)
            with Image.open(path) as picture, torch.no_grad():
                vector = model.encode_image(preprocess(picture.convert("RGB")).unsqueeze(0))
                vector /= vector.norm(dim=-1, keepdim=True)
            vectors.add(vector.numpy())
            database.execute("INSERT INTO pictures (path) VALUES (?)", (path,))
            count += 1
    database.commit()
    faiss.write_index(vectors, os.path.join(out, "naive.faiss"))
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    return {"pictures": count, "seconds": wall, "cpu_seconds": cpu}


def query(directory: str, out: str, text: str) -> list[str]:
    model, _, tokenizer = load(directory)
    vectors = faiss.read_index(os.path.join(out, "naive.faiss"))
    database = sqlite3.connect(os.path.join(out, "naive.db"))
    with torch.no_grad():
        vector = model.encode_text(tokenizer([text]))
        vector /= vector.norm(dim=-1, keepdim=True)
    _, found = vectors.search(vector.numpy(), 10)
    return [
        str(database.execute("SELECT path FROM pictures WHERE id = ?", (int(i) + 1,)).fetchone()[0])
        for i in found[0]
        if i >= 0
    ]


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    print(json.dumps(index(*arguments) if task == "index" else query(*arguments)))
