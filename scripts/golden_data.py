# Writes trainer/data/testdata: token files as nanoGPT and llm.c write them, parquet files as pyarrow writes them, what they
# hold (golden/expected.json), and files that must be refused (bad/; their messages are in bad/errors.txt, kept by hand).
#   pip install numpy==2.4.6 pyarrow==26.0.1
#   python3 scripts/golden_data.py trainer/data/testdata
import json
import os
import struct
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = sys.argv[1]
END = 50256
TEXTS = ["O rio corre para o mar.", "", "Maçã, pão e café.", None, "東京は夜の七時 🌃", "última linha\ncom quebra"]


def put(name, data):
    path = os.path.join(ROOT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def llmc(ids, magic, version, dtype, count=None):
    """llm.c's layout: 256 int32 of header (magic, version, number of tokens), then the tokens."""
    header = np.zeros(256, dtype=np.int32)
    header[:3] = magic, version, len(ids) if count is None else count
    return header.tobytes() + np.array(ids, dtype=dtype).tobytes()


def parquet(table, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


def golden():
    documents = [[464, 3290, 318], [50255, 0, 1], [40, 716, 257, 3797, 13]]
    appended = [i for d in documents for i in d + [END]]  # nanoGPT's order: end token last
    prepended = [i for d in documents for i in [END] + d]  # llm.c's: end token first
    put("golden/nanogpt.bin", np.array(appended, dtype=np.uint16).tobytes())
    put("golden/llmc-gpt2.bin", llmc(prepended, 20240520, 1, np.uint16))
    wide = [[128000, 9906, 1917], [70000, 5]]
    put("golden/llmc-llama3.bin", llmc([i for d in wide for i in [END] + d], 20240801, 7, np.uint32))
    table = pa.table({"id": list(range(len(TEXTS))), "text": TEXTS, "more": pa.array([[1]] * len(TEXTS))})
    for codec in ["none", "snappy", "gzip", "zstd", "brotli"]:
        put(f"golden/{codec}.parquet", parquet(table, compression=codec, row_group_size=4))
    put("golden/plain.parquet", parquet(table, use_dictionary=False, data_page_version="2.0", data_page_size=16))
    put("golden/delta.parquet", parquet(table, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"}))
    put("golden/large.parquet", parquet(pa.table({"text": pa.array(TEXTS, pa.large_string())}), write_page_checksum=True))
    put("golden/expected.json", json.dumps({
        "numpy": np.__version__, "pyarrow": pa.__version__,
        "documents": documents, "wide": wide, "texts": TEXTS}, ensure_ascii=False, indent=1) + "\n")


def bad_texts():
    put("bad/latin1.txt", "O pão".encode("latin-1"))
    put("bad/latin1-later.txt", ("Uma linha boa.\n" * 3 + "São Paulo").encode("latin-1"))
    put("bad/cut-rune.txt", "fim: é".encode()[:-1])
    put("bad/surrogate.txt", b"a\xed\xa0\x80b")
    put("bad/overlong.txt", b"a\xc0\xafb")
    put("bad/utf16.txt", "\ufeffOlá".encode("utf-16-le"))
    put("bad/gzip.txt", bytes.fromhex("1f8b0800000000000003cbcf4904005d96c1e803000000"))
    put("bad/zstd.jsonl", bytes.fromhex("28b52ffd0403190000616263"))
    put("bad/empty.txt", "")
    put("bad/blank.txt", " \n\t\n\u2003\n")
    put("bad/only-separators.txt", "<|endoftext|>\n<|endoftext|>\n")


def bad_lines():
    good = '{"text": "boa"}\n'
    lines = {
        "number": '{"text": 7}', "list": '{"text": ["a"]}', "object": '{"text": {"a": 1}}', "boolean": '{"text": true}',
        "missing": '{"content": "a", "id": 1}', "nothing": "{}", "many-keys": json.dumps({f"k{i}": i for i in range(12)}),
        "case": '{"Text": "a"}', "cut-off": '{"text": "a', "not-json": "text: a", "single-quotes": "{'text': 'a'}",
        "trailing-comma": '{"text": "a",}', "two-objects": '{"text": "a"} {"text": "b"}', "string": '"text"',
        "control": '{"text": "a\tb"}', "bad-escape": '{"text": "\\x41"}', "nan": '{"text": NaN}',
    }
    for name, line in lines.items():
        put(f"bad/{name}.jsonl", good + line + "\n")
    put("bad/array.jsonl", "[\n" + good.strip() + "\n]\n")
    put("bad/pretty.jsonl", '{\n  "text": "a"\n}\n')
    put("bad/latin1.jsonl", good.encode() + '{"text": "pão"}\n'.encode("latin-1"))
    put("bad/nulls.jsonl", '{"text": null}\n{"text": ""}\n')
    put("bad/blank-lines.jsonl", "\n\n  \n")


def bad_parquets():
    whole = parquet(pa.table({"text": ["um texto que se repete", "outro"] * 40, "n": list(range(80))}), write_page_checksum=True)
    put("bad/cut-off.parquet", whole[:-20])
    put("bad/empty.parquet", "")
    put("bad/not-parquet.parquet", "text\num\ndois\ntrês\n")
    put("bad/footer-length.parquet", whole[:-8] + struct.pack("<I", 1 << 31) + b"PAR1")
    put("bad/footer-zeros.parquet", whole[:-100] + bytes(92) + whole[-8:])
    put("bad/page-flipped.parquet", whole[:60] + bytes([whole[60] ^ 0xFF]) + whole[61:])
    put("bad/page-header.parquet", whole[:4] + b"\xff" * 12 + whole[16:])
    put("bad/no-column.parquet", parquet(pa.table({"content": ["a"], "title": ["b"], "n": [1]})))
    put("bad/no-strings.parquet", parquet(pa.table({"n": [1]})))
    put("bad/numbers.parquet", parquet(pa.table({"text": [1, 2]})))
    put("bad/lists.parquet", parquet(pa.table({"text": [["a", "b"], ["c"]]})))
    put("bad/lz4.parquet", parquet(pa.table({"id": list(range(len(TEXTS))), "text": TEXTS, "more": pa.array([[1]] * len(TEXTS))}), compression="lz4", row_group_size=4))
    put("bad/latin1.parquet", parquet(pa.table({"text": pa.array([b"boa", b"p\xe3o"], pa.binary())})))
    put("bad/no-rows.parquet", parquet(pa.table({"text": pa.array([], pa.string())})))


def bad_tokens():
    put("bad/odd.bin", b"\x01\x00\x02")
    put("bad/outside.bin", np.array([1, 2, 300, 4], dtype=np.uint16).tobytes())
    put("bad/empty.bin", "")
    put("bad/llmc-outside.bin", llmc([5, 6, 300], 20240520, 1, np.uint16))
    put("bad/llmc-wide-outside.bin", llmc([5, 128000], 20240801, 7, np.uint32))
    put("bad/llmc-version.bin", llmc([1, 2], 20240520, 2, np.uint16))
    put("bad/llmc-cut-off.bin", llmc([1, 2, 3], 20240520, 1, np.uint16)[:-2])
    put("bad/llmc-longer.bin", llmc([1, 2, 3], 20240520, 1, np.uint16) + b"\x00\x00")
    put("bad/llmc-negative.bin", llmc([1, 2, 3], 20240520, 1, np.uint16, count=-3))
    put("bad/llmc-header-cut.bin", llmc([], 20240520, 1, np.uint16)[:600])
    put("bad/llmc-evaluation.bin", llmc([1, 2], 20240522, 1, np.uint16))
    put("bad/unknown.csv", "text\na\n")


golden()
bad_texts()
bad_lines()
bad_parquets()
bad_tokens()
