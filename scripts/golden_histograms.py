#!/usr/bin/env python3
"""Writes trainer/testdata/histograms.json: tensors, and the histograms that PyTorch's TensorBoard writer makes of them.

    python3 scripts/golden_histograms.py

Needs `pip install torch==2.11.0 tensorboard==2.21.0 numpy`. The limits are SummaryWriter's; where a tensor has elements
beyond them, which that writer's buckets leave out, ±DBL_MAX stand at both ends, as in TensorFlow's histogram.cc. In the
file, limits are the place of the first in -DBL_MAX, bins, DBL_MAX, and one follows the other.
"""

import base64
import json
import pathlib
import sys
import tempfile

import numpy as np
from torch.utils.tensorboard.summary import make_histogram
from torch.utils.tensorboard.writer import SummaryWriter

OUT = pathlib.Path(__file__).parent.parent / "trainer" / "testdata" / "histograms.json"


def limits():
    """The default_bins of a SummaryWriter, which writes an empty event file when it is made."""
    with tempfile.TemporaryDirectory() as directory, SummaryWriter(directory) as writer:
        return writer.default_bins


def cases(rng):
    tiny = np.finfo(np.float32).smallest_subnormal
    bounds = np.float32(limits())
    yield "a normal distribution", rng.normal(0, 0.02, 1000)
    yield "positive only", rng.uniform(0.5, 2, 200)
    yield "negative only", -rng.uniform(1e-6, 1e6, 200)
    yield "zeros", np.zeros(7)
    yield "negative zero", np.array([-0.0, 0.0, 1.0])
    yield "a constant", np.full(9, 0.3)
    yield "one element", np.array([-3.0])
    yield "denormals", np.array([tiny, -tiny, 5 * tiny, 1e-40, -1e-39])
    yield "around the smallest limit", np.array([1e-12, 9.9e-13, -1e-12, -1.1e-12, 1.1e-12])
    yield "every limit, rounded to float32, and its neighbours", np.concatenate(
        [bounds, np.nextafter(bounds, np.float32(np.inf)), np.nextafter(bounds, np.float32(-np.inf))])
    yield "near the largest limits", np.array([9e19, -9e19, 8.8e19, 1.0])
    yield "beyond the limits", np.array([1e20, -1e20, 3e38, 0.5])
    yield "only beyond the limits", np.array([2e20])
    yield "only below the limits", np.array([-2e20, -3e38])


def main():
    bins, widest = limits(), sys.float_info.max
    written = []
    for name, values in cases(np.random.default_rng(1)):
        x = values.astype(np.float32)
        outside = (x < bins[0]) | (x >= bins[-1])
        h = make_histogram(x.astype(float), [-widest, *bins, widest] if outside.any() else bins)
        every = [-widest, *bins, widest]
        first = every.index(h.bucket_limit[0])
        assert list(h.bucket_limit) == every[first:first + len(h.bucket_limit)]
        written.append(json.dumps({
            "name": name, "values": base64.b64encode(x.astype("<f4").tobytes()).decode(),
            "min": h.min, "max": h.max, "num": h.num, "sum": h.sum, "sum_squares": h.sum_squares,
            "first_limit": first, "counts": [int(n) for n in h.bucket],
        }))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text('{"written_by": "python3 scripts/golden_histograms.py",\n"bins": ' + json.dumps(bins) + ',\n"cases": [\n'
                   + ",\n".join(written) + "\n]}\n")


if __name__ == "__main__":
    main()
