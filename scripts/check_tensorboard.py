#!/usr/bin/env python3
"""Reads a run's TensorBoard event files with TensorBoard's own reader and compares them with its metrics.jsonl.

    python3 scripts/check_tensorboard.py LOGGING_DIR OUTPUT_DIR/metrics.jsonl
    python3 scripts/check_tensorboard.py --golden trainer/monitor/testdata/golden.tfevents

Every number of metrics.jsonl that has a tag must stand under it, at its step, once, with the bits of its float32, and
nothing else may stand there: after kills and resumes, too. Prints the tags; exits with 1 and the differences if there are
any. --golden writes the events that the Go tests compare theirs with, by TensorBoard's own protocol buffers and record
writer. For development: training needs no Python. Needs `pip install tensorboard` (written against 2.21.0).
"""

import json
import math
import struct
import sys

from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

GB = 1 << 30

# (event, field) -> (tag, divisor): written down a second time here, so that a slip in the Go table shows.
TAGS = {
    ("train", "epoch"): ("train/epoch", 1),
    ("train", "loss"): ("train/loss", 1),
    ("train", "perplexity"): ("train/perplexity", 1),
    ("train", "learning_rate"): ("train/learning_rate", 1),
    ("train", "grad_norm"): ("train/grad_norm", 1),
    ("train", "loss_scale"): ("train/loss_scale", 1),
    ("train", "tokens_per_second"): ("train/tokens_per_second", 1),
    ("train", "step_seconds"): ("train/step_seconds", 1),
    ("eval", "loss"): ("eval/loss", 1),
    ("eval", "perplexity"): ("eval/perplexity", 1),
    ("eval", "bits_per_byte"): ("eval/bits_per_byte", 1),
    ("train", "peak_memory_bytes"): ("system/peak_memory_gb", GB),
    ("train", "resident_memory_bytes"): ("system/resident_memory_gb", GB),
    ("train", "cpu_percent"): ("system/cpu_percent", 1),
    ("train", "gpu_memory_allocated_bytes"): ("system/gpu_memory_allocated_gb", GB),
    ("train", "gpu_memory_reserved_bytes"): ("system/gpu_memory_reserved_gb", GB),
    ("train", "gpu_utilization"): ("system/gpu_utilization", 1),
}


def float32(x):
    """The float32 nearest to x, infinite where x is too large."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def exp(x):
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def number(value):
    """A number of metrics.jsonl as a float (NaN and the infinities are strings there), None if it is none."""
    if value in ("NaN", "Infinity", "-Infinity") or isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


def expected_scalars(lines):
    """tag -> [(step, float)] in the order of metrics.jsonl."""
    expected = {}
    for line in lines:
        found = {}
        for field, value in line.items():
            to, x = TAGS.get((line["event"], field)), number(value)
            if to and x is not None:
                found[to[0]] = x / to[1]
        if line["event"] == "train":
            if "train/loss" in found:
                found.setdefault("train/perplexity", exp(found["train/loss"]))
            for stage, weight in line.get("curriculum_weights", {}).items():
                found["curriculum/" + stage] = number(weight)
        for tag, x in found.items():
            expected.setdefault(tag, []).append((line["step"], x))
    return expected


def same(tag, want, got):
    """Bits, but for e^x, which mathematical libraries may round differently."""
    want = float32(want)
    if math.isnan(want):
        return math.isnan(got)
    if tag == "train/perplexity" and math.isfinite(want):
        return math.isclose(want, got, rel_tol=2e-7)
    return want == got


def compare(expected, scalars):
    """One line for each difference; scalars is tag -> [(step, float)] as TensorBoard shows it."""
    for tag in sorted(expected.keys() - scalars.keys()):
        yield f"{tag}: in metrics.jsonl, not in TensorBoard"
    for tag in sorted(scalars.keys() - expected.keys()):
        yield f"{tag}: in TensorBoard, not in metrics.jsonl"
    for tag in sorted(expected.keys() & scalars.keys()):
        want, got = expected[tag], scalars[tag]
        if [step for step, _ in want] != [step for step, _ in got]:
            yield f"{tag}: steps {[s for s, _ in got]}, want {[s for s, _ in want]}"
            continue
        for (step, a), (_, b) in zip(want, got):
            if not same(tag, a, b):
                yield f"{tag}: step {step}: {b!r}, want {float32(a)!r}"


def write_golden(path):
    """The file that TestEventFileIsTensorBoardsOwnBytes makes in Go."""
    wall_time = 1767366245.678
    text = Summary.Value(
        tag="config",
        metadata=SummaryMetadata(
            plugin_data=SummaryMetadata.PluginData(plugin_name="text"), data_class=DATA_CLASS_TENSOR
        ),
        tensor=TensorProto(
            dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=["    name: ação\n    seed: 42".encode()]
        ),
    )
    scalars = [("train/loss", 3.4121), ("train/learning_rate", 4.2e-4), ("train/loss_scale", 0.0),
               ("train/grad_norm", math.inf), ("train/perplexity", math.exp(3.4121))]
    events = [
        Event(wall_time=wall_time, file_version="brain.Event:2", source_metadata=SourceMetadata(writer="frugal")),
        Event(wall_time=wall_time, step=301, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=wall_time, step=300, summary=Summary(value=[text])),
        Event(wall_time=wall_time, step=310,
              summary=Summary(value=[Summary.Value(tag=tag, simple_value=x) for tag, x in scalars])),
    ]
    with open(path, "wb") as f:
        writer = RecordWriter(f)
        for event in events:
            writer.write(event.SerializeToString(deterministic=True))
        writer.flush()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--golden":
        return write_golden(sys.argv[2])
    with open(sys.argv[2], encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]

    # As TensorBoard itself reads a run: size 0 keeps every event; simple values arrive as tensors of one number.
    reader = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0}).Reload()
    scalars, texts = {}, {}
    for tag in reader.Tags()["tensors"]:
        plugin = reader.SummaryMetadata(tag).plugin_data.plugin_name
        events = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in reader.Tensors(tag)]
        if plugin == "scalars":
            scalars[tag] = [(step, float(x)) for step, x in events]
        elif plugin == "text":
            texts[tag] = [(step, x.reshape(-1)[0].decode()) for step, x in events]

    for tag, events in sorted(scalars.items()):
        print(f"{tag:34} {len(events):6} steps {events[0][0]} … {events[-1][0]}, last {events[-1][1]:.6g}")
    for tag, events in sorted(texts.items()):
        print(f"{tag:34} {len(events):6} texts, last: {events[-1][1].strip().splitlines()[0][:50]}")

    differences = list(compare(expected_scalars(lines), scalars))
    if any(line["event"] == "run" and "config" in line for line in lines) and "config" not in texts:
        differences.append("config: no text in TensorBoard")
    for difference in differences:
        print("DIFFERENT", difference)
    if not scalars:
        differences.append("no scalars at all")
        print("DIFFERENT no scalars at all")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
