#!/usr/bin/env python3
"""Golden files for trainer/safetensors, written by the reference implementation.

    pip install safetensors==0.8.0
    python3 scripts/golden_safetensors.py              # writes trainer/safetensors/testdata/*.safetensors
    python3 scripts/golden_safetensors.py FILE...      # opens files with the reference implementation and lists them

Byte i of a tensor's data is (7 * i + 13) mod 256, and mod 2 of that where the tensor is boolean.
"""
import ctypes
import pathlib
import sys

import safetensors

TESTDATA = pathlib.Path(__file__).parent.parent / "trainer" / "safetensors" / "testdata"

# name: (dtype, shape, bytes an element)
EVERY_DTYPE = {
    "c": ("bool", [3], 1),
    "weight.i8": ("int8", [2, 2], 1),
    "weight.u8": ("uint8", [5], 1),
    "b": ("float8_e4m3fn", [3], 1),
    "a": ("float8_e5m2", [1, 3], 1),
    "i16": ("int16", [3], 2),
    "u16": ("uint16", [1], 2),
    "f16": ("float16", [2, 3], 2),
    "bf16": ("bfloat16", [3, 1, 2], 2),
    "i32": ("int32", [2], 4),
    "u32": ("uint32", [1], 4),
    "z.f32": ("float32", [2, 2], 4),
    "a.f32": ("float32", [3], 4),
    "f64": ("float64", [], 8),
    "i64": ("int64", [2], 8),
    "u64": ("uint64", [1], 8),
}
NAMES = {
    "": ("float32", [1], 4),
    "no elements": ("float32", [0, 4], 4),
    "transformer.h.0.attn.c_attn.weight": ("float32", [2, 6], 4),
    "transformer.h.10.ln_1.bias": ("float32", [2], 4),
    "transformer.h.2.ln_1.bias": ("float32", [2], 4),
    "acentuação 漢字 🙂": ("float32", [1], 4),
    'quote " backslash \\ slash / tab \t newline \n escape \x1b delete \x7f': ("float32", [1], 4),
    "html <&> separators \u2028\u2029": ("float32", [1], 4),
}
GOLDENS = {
    "every_dtype": (EVERY_DTYPE, None),
    "names": (NAMES, {"format": "pt"}),
    "empty": ({}, None),  # metadata without a tensor is left out: safetensors 0.8.0 writes `{},"__metadata__"…`, no JSON
    "empty_metadata": ({"x": ("uint8", [1], 1)}, {}),
    "metadata_escapes": ({"x": ("uint8", [1], 1)}, {"a\"\n\u2028": "<\b\f\r\\>"}),
}


def data(dtype, shape, size):
    for dimension in shape:
        size *= dimension
    values = [(7 * i + 13) % 256 for i in range(size)]
    return bytes(v % 2 if dtype == "bool" else v for v in values)


def write():
    TESTDATA.mkdir(parents=True, exist_ok=True)
    for name, (tensors, metadata) in GOLDENS.items():
        buffers, described = [], {}  # a TensorSpec holds an address: the buffers must outlive it
        for key, (dtype, shape, size) in tensors.items():
            contents = data(dtype, shape, size)
            buffers.append(ctypes.create_string_buffer(contents, max(1, len(contents))))
            described[key] = safetensors.TensorSpec(
                dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[-1]), data_len=len(contents)
            )
        (TESTDATA / f"{name}.safetensors").write_bytes(safetensors.serialize(described, metadata=metadata))
    (TESTDATA / "VERSION").write_text(
        f"safetensors {safetensors.__version__}\npython3 scripts/golden_safetensors.py\n"
    )


def check(path):
    for name, tensor in safetensors.deserialize(pathlib.Path(path).read_bytes()):
        print(path, repr(name), tensor["dtype"], tensor["shape"], len(tensor["data"]), "bytes")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        check(argument)
    if len(sys.argv) == 1:
        write()
