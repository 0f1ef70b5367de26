#!/usr/bin/env python3
"""Opens the tokenizers that frugal writes (gpt2, byte, trained) with the real transformers and compares ids.

    pip install transformers==5.23.0
    python3 scripts/check_tokenizer.py [TEXTFILE…]

Each is written beside a GPT-2 config.json, opened with AutoTokenizer.from_pretrained, and must give our ids for the text
files (by default: golden_tokenizer.py's strings and this repository's Markdown and corpus), decode them to the text again,
and have the end token and the length that were asked for.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from transformers import AutoTokenizer, GPT2Config

ROOT = pathlib.Path(__file__).resolve().parent.parent
END = "<|endoftext|>"


def default_texts():
    import gzip
    golden = json.loads(gzip.decompress((ROOT / "trainer/tokenizer/testdata/gpt2.json.gz").read_bytes()))
    files = [*ROOT.glob("*.md"), *ROOT.glob("corpus/**/*.txt")]
    return [c["text"] for c in golden["cases"]] + [f.read_text("utf-8") for f in sorted(files)]


def main():
    texts = [pathlib.Path(f).read_text("utf-8") for f in sys.argv[1:]] or default_texts()
    texts.append(f"one{END}two {END} three{END}")
    for name, command, vocab_size in ("gpt2", "new", 50257), ("byte", "bytes", 257), ("trained", "train 1500", None):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            files = []
            for i, text in enumerate(texts):
                files.append(folder / f"{i}.txt")
                files[-1].write_text(text, "utf-8", newline="")
            commands = f"load {' '.join(map(str, files))}\n{command}\nsave {folder}\nids {folder / 'ids.json'}\n"
            subprocess.run(["go", "run", "./bench/tokenizer"], cwd=ROOT, input=commands, text=True, check=True, stdout=subprocess.DEVNULL)
            ours = json.loads((folder / "ids.json").read_text())
            GPT2Config(vocab_size=vocab_size or 1500).save_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            failed = []
            for i, text in enumerate(texts):
                theirs = tokenizer(text)["input_ids"]
                if theirs != ours[i]:
                    failed.append(f"text {i} ({text[:40]!r}) has other ids")
                elif tokenizer.decode(theirs) != text:
                    failed.append(f"text {i} ({text[:40]!r}) decodes to something else")
            if vocab_size and len(tokenizer) != vocab_size:
                failed.append(f"{len(tokenizer)} ids, want {vocab_size}")
            if tokenizer.eos_token != END or tokenizer.convert_tokens_to_ids(END) != tokenizer.eos_token_id:
                failed.append(f"eos_token {tokenizer.eos_token}")
            if tokenizer.model_max_length != 1024:
                failed.append(f"model_max_length {tokenizer.model_max_length}")
            if failed:
                sys.exit("\n".join([f"{name}:", *failed]))
            print(f"{name}: {type(tokenizer).__name__}, {len(tokenizer)} ids, eos {tokenizer.eos_token_id}: {len(texts)} texts, "
                  f"{sum(map(len, ours))} ids, all equal")


if __name__ == "__main__":
    main()
