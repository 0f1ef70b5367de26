#!/usr/bin/env python3
"""What the machine can do at best, and what PyTorch's ways to save take of it. bench/race runs it between the sides.

    python3 bench/race/machine.py ceilings THREADS       # GFLOP/s of products of 4096³, GB/s of memory
    python3 bench/race/machine.py checkpoints INIT DIR   # seconds to write and to read INIT's weights with AdamW's moments, in DIR

Both print JSON. Writing ends when the file is on the disk (fsync); before reading, the system is told to forget the file.
"""
import json
import os
import pathlib
import sys
import time

import safetensors.torch
import torch

SIZE = 4096
REPEATS = 3


def seconds(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def best(run):
    """A ceiling is what was reached once."""
    run()
    return min(seconds(run) for _ in range(REPEATS))


def ceilings(threads):
    """torch.mm is MKL's in fp32; the linear layer that torch.compile calls is oneDNN's."""
    torch.set_num_threads(threads)
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    out, half_a, half_b = torch.empty(SIZE, SIZE), a.bfloat16(), b.bfloat16()
    flops = 2 * SIZE**3
    answer = dict(
        mkl=flops / best(lambda: torch.mm(a, b, out=out)),
        onednn=flops / best(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")),
        bf16=flops / best(lambda: torch.mm(half_a, half_b)))
    x, y, z = (torch.ones(64 << 20) for _ in range(3))  # 256 MB each, past any cache
    answer |= dict(read=x.nbytes / best(lambda: x.sum()), triad=3 * x.nbytes / best(lambda: torch.add(x, y, alpha=3.0, out=z)))
    print(json.dumps({name: rate / 1e9 for name, rate in answer.items()}))


def sync(file):
    with open(file, "rb+") as f:
        os.fsync(f.fileno())


def forget(file):
    with open(file, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def raw_write(file, content):
    with open(file, "wb", buffering=0) as f:
        for at in range(0, len(content), 16 << 20):
            f.write(content[at:at + (16 << 20)])
        os.fsync(f.fileno())


def raw_read(file, content):
    with open(file, "rb", buffering=0) as f:
        for at in range(0, len(content), 16 << 20):
            f.readinto(content[at:at + (16 << 20)])


def fill(state, loaded):
    """Into the tensors of the training, so that a file that is only mapped has been read."""
    for name, tensor in state.items():
        tensor.copy_(loaded[name])


def checkpoints(init, directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    weights = safetensors.torch.load_file(pathlib.Path(init) / "model.safetensors")
    state = {kind + name: torch.randn_like(w) for kind in ("", "exp_avg.", "exp_avg_sq.") for name, w in weights.items()}
    size = sum(t.nbytes for t in state.values())
    content = memoryview(bytearray(os.urandom(1 << 20) * (size >> 20) + bytes(size & ((1 << 20) - 1))))
    ways = dict(
        disk=(lambda f: raw_write(f, content), lambda f: raw_read(f, content)),
        torch=(lambda f: (torch.save(state, f), sync(f)), lambda f: fill(state, torch.load(f))),
        safetensors=(lambda f: (safetensors.torch.save_file(state, f), sync(f)), lambda f: fill(state, safetensors.torch.load_file(f))))
    answer = {}
    for name, (write, read) in ways.items():
        file = directory / name
        written = seconds(lambda: write(file))
        forget(file)
        answer[name] = dict(bytes=file.stat().st_size, write=written, read=seconds(lambda: read(file)))
        file.unlink()
    print(json.dumps(answer))


def main():
    match sys.argv[1:]:
        case ["ceilings", threads]:
            ceilings(int(threads))
        case ["checkpoints", init, directory]:
            checkpoints(init, directory)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
