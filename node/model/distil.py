"""Makes node/assets/builtin-256.bin: a static embedding model distilled from all-MiniLM-L6-v2.

Step 1, the floor: every vocabulary token goes through the teacher alone; projected to 256 numbers
and weighted by how rare the token is (SIF), the sum over a text's tokens is its vector.
Step 2, training: the token vectors are moved so that the sums meet the teacher's vectors of some
170,000 sentences, in direction and in their likeness to each other.
Step 3, export: int8 rows with one scale per token, in the format that README.md describes.

Everything is chosen on held-out sentences of the training corpus; the STS file is only reported.
See README.md for how to run it.
"""

import argparse
import csv
import hashlib
import json
import struct
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.stats import spearmanr

import corpus
from teacher import Teacher

DIMS = 256
SIF = 3e-4
CLS, SEP = 101, 102
HELD_OUT = 4_000
# Texts whose tokens and vectors the Rust tests compare with this script's.
GOLDEN = [
    "The quick brown fox jumps over the lazy dog.",
    "Embeddings: unbelievably re-tokenised, isn't it?",
    "Crème brûlée, naïve café — Ångström; İstanbul ÜBER straße",
    "meeting\twith\u00a0Anna\u2028about\u200b the bud\u00adget (e-mail: anna@example.org) $12.50 + 3 < 20",
    "東京は日本の首都です。中文字符测试！",
    "Привет, мир! Ёлка й",
    "हिन्दी भाषा के लिए परीक्षण। বাংলা தமிழ்",
    "한국어 문장 하나",
    "emoji 🙂 inside ☃ snow\ufe0f man ™ ½ ﬁne Ⅷ ﷺ «quoted» ¿qué? 「かぎ」",
    "a" * 101 + " supercalifragilisticexpialidocious antidisestablishmentarianism",
    "[CLS_] _under_score_ x=y~z`w^v|u {brace} \\back\\slash C++ #tag 'single'",
    "e\u0301te\u0301 o\u0308 \x00nul\x7fdel \ufffd\ue000 end",
    "مرحبا بالعالم، كيف حالك؟ שלום עולם",
    "🙂🙃",
    "",
]
MAGIC, VERSION = b"SBEMBED\0", 1


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def log(*words):
    print(f"[{time.process_time():7.1f}s]", *words, flush=True)


def kept_tokens(vocabulary):
    """Ids of the tokens worth a row: not the special and the unused ones."""
    return [at for at, token in enumerate(vocabulary) if not (token.startswith("[") and token.endswith("]") and len(token) > 2)]


def sif_weights(rows):
    """Smooth inverse frequency (Arora et al. 2017): a / (a + share of the token in the corpus)."""
    count = np.asarray(rows.sum(0)).ravel() + 1
    return (SIF / (SIF + count / count.sum())).astype(np.float32)


def encoded(work, threads, roots):
    """Returns vocabulary, sentences, and the teacher's vectors of both; cached in the work folder."""
    work = Path(work)
    exact = Teacher(work, False, threads)
    by_id = sorted(exact.tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    vocabulary = [token for token, _ in by_id]
    alone = work / "tokens.npy"
    if not alone.exists():
        rows = [[CLS, at, SEP] for at in range(len(vocabulary))]
        np.save(alone, exact.encode(rows, 256))
        log("encoded the vocabulary")
    listed, part_size = work / "sentences.json", 10_000
    if not listed.exists():
        listed.write_text(json.dumps(corpus.collect(roots)))
    sentences = json.loads(listed.read_text())
    fast = Teacher(work, True, threads)
    ids = fast.tokens(sentences)
    parts = []
    for start in range(0, len(ids), part_size):
        path = work / f"part-{start // part_size:03}.npy"
        if not path.exists():
            np.save(path, fast.encode(ids[start : start + part_size]).astype(np.float16))
            log("encoded", start + part_size, "of", len(ids))
        parts.append(np.load(path).astype(np.float32))
    return vocabulary, ids, np.load(alone), np.concatenate(parts), exact.tokenizer


def bags(rows, places):
    """Token counts as a sparse matrix: one row per text, one column per kept token."""
    index = np.concatenate([np.asarray([places[at] for at in row if places[at] >= 0], np.int32) for row in rows])
    sizes = [sum(places[at] >= 0 for at in row) for row in rows]
    start = np.concatenate([[0], np.cumsum(sizes)])
    columns = int(places.max()) + 1
    return sp.csr_matrix((np.ones(len(index), np.float32), index, start), (len(rows), columns))


class Probe:
    """Held-out sentences: how well the student's likeness of near pairs ranks like the teacher's."""

    def __init__(self, rows, target):
        self.rows, target = rows, unit(target)
        likeness = target @ target.T
        np.fill_diagonal(likeness, -1)
        near = np.argsort(-likeness, axis=1)[:, [0, 1, 3, 9, 30, 100, 400]]
        self.left = np.repeat(np.arange(len(target)), near.shape[1])
        self.right = near.ravel()
        self.truth = likeness[self.left, self.right]

    def score(self, vectors):
        out = unit(self.rows @ vectors)
        return spearmanr((out[self.left] * out[self.right]).sum(1), self.truth)[0]


def train(vectors, rows, target, args, report):
    """Adam on the rows that each batch touches; two losses, weighed by `args.pairs`.

    The first is 1 - cos(student, teacher); the second is the mean square difference between the
    two matrices of likeness within the batch.
    """
    rng = np.random.default_rng(20_261_122)
    target = unit(target)
    first, second = np.zeros_like(vectors), np.zeros_like(vectors)
    steps_all = args.epochs * (rows.shape[0] // args.batch)
    step = 0
    for epoch in range(args.epochs):
        shuffled = rng.permutation(rows.shape[0])
        for start in range(0, len(shuffled) - args.batch + 1, args.batch):
            step += 1
            part = shuffled[start : start + args.batch]
            bag, goal = rows[part], target[part]
            touched = np.unique(bag.indices)
            bag = bag[:, touched]
            total = bag @ vectors[touched]
            length = np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)
            out = total / length
            gap = out @ out.T - goal @ goal.T
            slope = -goal / args.batch + args.pairs * (gap @ out) / args.batch**2
            slope = (slope - (slope * out).sum(1, keepdims=True) * out) / length
            change = bag.T @ slope
            first[touched] = 0.9 * first[touched] + 0.1 * change
            second[touched] = 0.99 * second[touched] + 0.01 * change**2
            rate = args.rate * (1 - step / steps_all)
            mean = first[touched] / (1 - 0.9**step)
            root = np.sqrt(second[touched] / (1 - 0.99**step)) + 1e-12
            vectors[touched] -= rate * mean / root
        report(epoch, vectors)
    return vectors


def quantise(vectors):
    """int8 rows and one scale per row; an all-zero row gets scale 0."""
    scale = np.abs(vectors).max(1) / 127
    rows = np.round(vectors / np.maximum(scale, 1e-12)[:, None]).astype(np.int8)
    return rows, scale.astype("<f4")


def export(path, tokens, vectors):
    """Writes the asset; tokens are sorted by their bytes, so that they are found by bisection."""
    order = sorted(range(len(tokens)), key=lambda at: tokens[at].encode())
    words = [tokens[at].encode() for at in order]
    rows, scale = quantise(vectors[order])
    body = rows.tobytes() + scale.tobytes()
    name = f"builtin-{DIMS}-{hashlib.sha256(body).hexdigest()[:8]}".encode()
    offsets = np.cumsum([0] + [len(word) for word in words]).astype("<u4")
    head = MAGIC + struct.pack("<IIII", VERSION, DIMS, len(words), len(name)) + name
    path.write_bytes(head + offsets.tobytes() + b"".join(words) + scale.tobytes() + rows.tobytes())
    log("wrote", path, path.stat().st_size, "bytes", name.decode())
    restored = np.empty_like(vectors)
    restored[order] = rows.astype(np.float32) * scale[:, None]
    return restored


def golden(path, tokenizer, places, tokens, vectors):
    """Writes what the Rust side must reproduce: tokens, and the vector's first numbers."""
    cases = []
    for text in GOLDEN:
        ids = tokenizer.encode(text).ids
        vector = unit(bags([ids], places) @ vectors)[0]
        listed = [tokens[places[at]] for at in ids if places[at] >= 0]
        cases.append({"text": text, "tokens": listed, "vector": [round(float(v), 6) for v in vector[:8]]})
    path.write_text(json.dumps(cases, indent=1) + "\n")


def sts(path, tokenizer, places, vectors):
    """Spearman correlation between cosine and the human score."""
    with open(path, encoding="utf-8") as file:
        lines = list(csv.reader(file))
    left, right = (
        unit(bags([e.ids for e in tokenizer.encode_batch([line[at] for line in lines])], places) @ vectors)
        for at in (0, 1)
    )
    return spearmanr((left * right).sum(1), [float(line[2]) for line in lines])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", default="work", help="cache for graphs and encoded sentences")
    parser.add_argument("--out", default=Path(__file__).parents[1] / "assets/builtin-256.bin", type=Path)
    parser.add_argument("--packages", default="work/packages", help="folder of unpacked wordnet-base and fortunes")
    parser.add_argument("--sources", default="~/.cargo/registry/src", help="folder of Rust sources and markdown")
    parser.add_argument("--sts", help="an STS-B file to report on; never used for choosing")
    parser.add_argument("--threads", default=1, type=int)
    parser.add_argument("--floor", action="store_true", help="stop after plain distillation")
    parser.add_argument("--epochs", default=3, type=int)
    parser.add_argument("--batch", default=1024, type=int)
    parser.add_argument("--rate", default=2e-2, type=float)
    parser.add_argument("--pairs", default=10.0, type=float)
    args = parser.parse_args()
    roots = {"wordnet": args.packages, "fortunes": args.packages, "rust": args.sources, "markdown": args.sources}
    vocabulary, ids, alone, target, tokenizer = encoded(args.work, args.threads, roots)
    kept = kept_tokens(vocabulary)
    places = np.full(len(vocabulary), -1)
    places[kept] = np.arange(len(kept))
    rows = bags(ids, places)

    centred = alone[kept] - alone[kept].mean(0)
    energy, basis = np.linalg.eigh(unit(target).T @ unit(target))
    basis = basis[:, ::-1][:, :DIMS].astype(np.float32)
    log("energy kept in", DIMS, "dims:", energy[::-1][:DIMS].sum() / energy.sum())
    if args.floor:
        basis = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :DIMS].astype(np.float32)
    vectors = (sif_weights(rows)[:, None] * (centred @ basis)).astype(np.float32)
    target = target @ basis
    probe = Probe(rows[:HELD_OUT], target[:HELD_OUT])

    def report(epoch, now):
        quality = f"held-out {probe.score(now):.4f}"
        if args.sts:
            quality += f"  sts {sts(args.sts, tokenizer, places, now):.4f}"
        log("epoch", epoch, quality)

    report("floor", vectors)
    if not args.floor:
        # Each token alone is a sentence too: it holds rare tokens where the teacher puts them.
        rows = sp.vstack([rows[HELD_OUT:], sp.identity(len(kept), np.float32, "csr")]).tocsr()
        target = np.concatenate([target[HELD_OUT:], alone[kept] @ basis])
        filled = np.flatnonzero(np.diff(rows.indptr))
        train(vectors, rows[filled], target[filled], args, report)
    tokens = [vocabulary[at] for at in kept]
    restored = export(args.out, tokens, vectors)
    golden(args.out.with_suffix(".golden.json"), tokenizer, places, tokens, restored)
    report("int8", restored)


if __name__ == "__main__":
    main()
