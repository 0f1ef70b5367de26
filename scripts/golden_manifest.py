#!/usr/bin/env python3
"""Golden manifest.json for trainer/checkpoint, spelt by Python's json and hashlib (no package needed).

    python3 scripts/golden_manifest.py        # writes trainer/checkpoint/testdata/manifest.json
"""
import hashlib
import json
import pathlib

TARGET = pathlib.Path(__file__).parent.parent / "trainer" / "checkpoint" / "testdata" / "manifest.json"


def sha256(contents):
    return hashlib.sha256(contents).hexdigest()


def spell(manifest):
    return (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


files = {"b.json": b"{}\n", "a<b>.bin": b""}
manifest = {
    "checksum": "",
    "files": {name: {"sha256": sha256(contents), "size": len(contents)} for name, contents in files.items()},
    "fingerprints": {"tokenizer": "t", "data": "d"},
    "format_version": 1,
    "run_id": "2026 <é>",
    "step": 20,
}
manifest["checksum"] = sha256(spell(manifest))
TARGET.write_bytes(spell(manifest))
