#!/usr/bin/env python3
"""Our tokenizer beside Hugging Face tokenizers and tiktoken: the same text, one thread each, taking turns, in CPU time.

    pip install tokenizers==0.23.3 tiktoken==0.14.0
    python3 bench/tokenizer/peers.py [--rounds 7] [--vocab-size 8192] PATH…

PATH: text files, or directories in which .txt, .html, .md, .rst and .po files are taken; each PATH is a row of the table.
cold: a tokenizer that has seen no text. warm: the same text again. Ids, vocabularies and merges must be equal, or it stops.
Every round runs each tokenizer once, in turn; the ratio is the median of the rounds' ratios, with the lowest and highest.
"""
import argparse
import html
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
try:
    import tiktoken
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
except ModuleNotFoundError as e:
    sys.exit(f"{sys.executable} has no module {e.name}: python3 -m pip install tokenizers==0.23.3 tiktoken==0.14.0")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
END = "<|endoftext|>"
SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
ENDINGS = {".txt", ".html", ".md", ".rst", ".po"}


class Ours:
    """Our tokenizer in a process of its own, on one core."""

    def __init__(self, folder):
        binary = folder / "ours"
        subprocess.run(["go", "build", "-o", binary, "./bench/tokenizer"], cwd=ROOT, check=True)
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "GOMAXPROCS": "1"})

    def __call__(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("our tokenizer stopped")
        return json.loads(answer)


def read(path, limit):
    """The text of a file or of a directory's text files, tags taken out of HTML, up to limit bytes."""
    path = pathlib.Path(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in ENDINGS and p.is_file())
    texts, size = [], 0
    for file in files:
        text = file.read_text("utf-8", "ignore").replace(END, "")
        if file.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        texts.append(text)
        size += len(text.encode())
        if size > limit:
            break
    if not texts:
        sys.exit(f"{path}: no text in it")
    return texts


def cut(texts, size=100_000):
    """Documents of some 100 kB, as data sets have them, cut at ends of lines."""
    documents, current = [], ""
    for line in "\n".join(texts).splitlines(keepends=True):
        current += line
        if len(current) > size:
            documents.append(current)
            current = ""
    return documents + [current] if current else documents


def timed(run):
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def byte_level(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def row(name, size, times):
    """times: by tokenizer, the seconds of each round."""
    cells = [f"{name:34s}"]
    for peer, seconds in times.items():
        cells.append(f"{peer} {size / 1e6 / statistics.median(seconds):7.1f} MB/s")
    for peer, seconds in times.items():
        if peer != "ours":
            ratios = [s / o for s, o in zip(seconds, times["ours"])]
            cells.append(f"ours/{peer} {statistics.median(ratios):5.1f} ({min(ratios):.1f}–{max(ratios):.1f})")
    print("  ".join(cells), flush=True)


def encoding(name, documents, ours, rounds, new_hf, new_tiktoken):
    size = sum(len(d.encode()) for d in documents)
    cold = {"ours": [], "hf": [], "tiktoken": []}
    warm = {"ours": [], "hf": [], "tiktoken": []}
    for _ in range(rounds):
        ours("new")
        hf, tik = new_hf(), new_tiktoken()
        run_hf = lambda: sum(len(e.ids) for e in hf.encode_batch_fast(documents))  # its fastest: no offsets
        run_tik = lambda: sum(len(tik.encode(d, allowed_special="all")) for d in documents)
        for times in cold, warm:
            answer = ours("encode")
            times["ours"].append(answer["seconds"])
            for peer, run in ("hf", run_hf), ("tiktoken", run_tik):
                seconds, ids = timed(run)
                times[peer].append(seconds)
                if ids != answer["ids"]:
                    sys.exit(f"{name}: {peer} makes {ids} ids, we make {answer['ids']}")
    row(f"{name} {size / 1e6:.1f} MB, cold", size, cold)
    row(f"{name} {size / 1e6:.1f} MB, warm", size, warm)


def training(name, documents, ours, rounds, vocab_size, folder):
    size = sum(len(d.encode()) for d in documents)
    times = {"ours": [], "hf": []}
    for _ in range(rounds):
        times["ours"].append(ours("train", vocab_size)["seconds"])
        tokenizer = byte_level(models.BPE())
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, special_tokens=[END], show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        times["hf"].append(timed(lambda: tokenizer.train_from_iterator(documents, trainer))[0])
    ours("save", folder)
    mine = json.loads(Tokenizer.from_file(str(folder / "tokenizer.json")).to_str())["model"]
    theirs = json.loads(tokenizer.to_str())["model"]
    if mine["vocab"] != theirs["vocab"] or mine["merges"] != theirs["merges"]:
        sys.exit(f"{name}: the trained vocabularies differ")
    row(f"{name} {size / 1e6:.1f} MB, train {vocab_size}", size, times)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("paths", nargs="+", metavar="PATH")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--vocab-size", type=int, default=8192)
    arguments.add_argument("--limit", type=float, default=8, help="MB of text from each PATH (8)")
    arguments.add_argument("--no-training", action="store_true")
    o = arguments.parse_args()
    if o.rounds < 1:
        arguments.error("--rounds: want at least one")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ours = Ours(folder)
        ours("new")
        ours("save", folder)
        saved = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        byte_of = {c: b for b, c in byte_characters().items()}
        ranks = {bytes(byte_of[c] for c in text): id for text, id in saved["model"]["vocab"].items() if text != END}
        new_hf = lambda: Tokenizer.from_str(json.dumps(saved))
        new_tiktoken = lambda: tiktoken.Encoding("r50k", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens={END: 50256})
        for path in o.paths:
            documents = cut(read(path, o.limit * 1e6))
            names = []
            for i, document in enumerate(documents):
                names.append(folder / f"{i}.txt")
                names[-1].write_text(document, "utf-8", newline="")
            ours("load", *names)
            name = pathlib.Path(path).name
            encoding(name, documents, ours, o.rounds, new_hf, new_tiktoken)
            if not o.no_training:
                training(name, documents, ours, max(1, o.rounds // 2), o.vocab_size, folder)


def byte_characters():
    """GPT-2's character for each byte."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printed]
    return {**{b: chr(b) for b in printed}, **{b: chr(0x100 + i) for i, b in enumerate(others)}}


if __name__ == "__main__":
    main()
