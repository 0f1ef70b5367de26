#!/usr/bin/env python3
"""Reads a run's TensorBoard event files with TensorBoard's own readers and compares them with its metrics.jsonl.

    python3 scripts/check_tensorboard.py LOGGING_DIR OUTPUT_DIR/metrics.jsonl
    python3 scripts/check_tensorboard.py --golden trainer/monitor/testdata/golden.tfevents

Both of its readers are asked: the one in Python, and the data server that TensorBoard uses by default. Every number of
metrics.jsonl that has a tag must stand under it, at its step, once, with the bits of its float32, and nothing else may stand
there: after kills and resumes, too. The same holds of samples and the configuration's text. Histograms must count what they
say, each at the same steps, and the HPARAMS tab must show the run as one session with its configuration's values. Prints the
tags; exits with 1 and the differences if there are any. --golden writes the events that the Go tests compare theirs with, by
TensorBoard's own protocol buffers and record writer, and PyTorch's histogram. For development: training needs no Python.
Needs `pip install tensorboard==2.21.0 numpy`, --golden also torch==2.11.0.
"""

import html
import json
import math
import pathlib
import re
import struct
import sys
import tempfile
import time

import numpy as np
from tensorboard import context, plugin_util
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.data import server_ingester
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, metadata as hparams_metadata, plugin_data_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.grpc_util import ChannelCredsType

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
    ("train", "allocated_memory_bytes"): ("system/allocated_memory_gb", GB),
    ("train", "reserved_memory_bytes"): ("system/reserved_memory_gb", GB),
    ("train", "gpu_memory_used_bytes"): ("system/gpu_memory_used_gb", GB),
    ("train", "gpu_utilization"): ("system/gpu_utilization", 1),
    ("train", "gpu_temperature_celsius"): ("system/gpu_temperature_celsius", 1),
    ("train", "gpu_power_watts"): ("system/gpu_power_watts", 1),
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
            for stage, rows in line.get("curriculum_drawn", {}).items():
                found["curriculum_drawn/" + stage] = number(rows)
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


CONFIG_TEXT = """    {
      "data": {
        "packing": false
      },
      "learning_rate": 0.0006,
      "preset": "ação"
    }"""


def hparams_value(content):
    """A Summary.Value for the HPARAMS tab."""
    metadata = hparams_metadata.create_summary_metadata(content)
    metadata.data_class = DATA_CLASS_TENSOR
    metadata.plugin_data.content = content.SerializeToString(deterministic=True)  # its map sorted
    tag = hparams_metadata.SESSION_START_INFO_TAG
    if content.HasField("session_end_info"):
        tag = hparams_metadata.SESSION_END_INFO_TAG
    return Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)


def write_golden(path):
    """The file that TestEventFileIsTensorBoardsOwnBytes makes in Go."""
    from golden_histograms import limits
    from torch.utils.tensorboard.summary import histogram

    wall_time = 1767366245.678
    start = plugin_data_pb2.HParamsPluginData(
        session_start_info=plugin_data_pb2.SessionStartInfo(start_time_secs=wall_time))
    start.session_start_info.hparams["data.packing"].bool_value = False
    start.session_start_info.hparams["learning_rate"].number_value = 6e-4
    start.session_start_info.hparams["preset"].string_value = "ação"
    end = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=wall_time))
    text = Summary.Value(
        tag="config",
        metadata=SummaryMetadata(
            plugin_data=SummaryMetadata.PluginData(plugin_name="text"), data_class=DATA_CLASS_TENSOR
        ),
        tensor=TensorProto(
            dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=[CONFIG_TEXT.encode()]
        ),
    )
    scalars = [("train/loss", 3.4121), ("train/learning_rate", 4.2e-4), ("train/loss_scale", 0.0),
               ("train/grad_norm", math.inf), ("train/perplexity", math.exp(3.4121))]
    events = [
        Event(wall_time=wall_time, file_version="brain.Event:2", source_metadata=SourceMetadata(writer="frugal")),
        Event(wall_time=wall_time, step=301, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=wall_time, step=301, summary=Summary(value=[text, hparams_value(start)])),
        Event(wall_time=wall_time, step=310,
              summary=Summary(value=[Summary.Value(tag=tag, simple_value=x) for tag, x in scalars])),
        Event(wall_time=wall_time, step=310, summary=histogram("weights/w", np.array([0.25, 0.25, 0.375]), bins=limits())),
        Event(wall_time=wall_time, step=311, summary=Summary(value=[hparams_value(end)])),
    ]
    with open(path, "wb") as f:
        writer = RecordWriter(f)
        for event in events:
            writer.write(event.SerializeToString(deterministic=True))
        writer.flush()


RUN = "run"


def readers(directory):
    """(name, data provider) for each of TensorBoard's readers, with nothing sampled away and directory as RUN."""
    everything = dict.fromkeys(("scalars", "text", "histograms", "hparams"), 0)
    with tempfile.TemporaryDirectory() as above:  # the HPARAMS tab finds no metrics of a run in the log directory itself
        pathlib.Path(above, RUN).symlink_to(pathlib.Path(directory).resolve())
        multiplexer = EventMultiplexer(tensor_size_guidance=everything)
        multiplexer.AddRunsFromDirectory(above)
        multiplexer.Reload()
        yield "reader in Python", MultiplexerDataProvider(multiplexer, above)
        server = server_ingester.SubprocessServerDataIngester(
            server_ingester.get_server_binary(), above, reload_interval=0, channel_creds_type=ChannelCredsType.LOCAL,
            samples_per_plugin=everything)
        server.start()
        wait_until_loaded(server.data_provider)
        yield "data server", server.data_provider


def wait_until_loaded(provider):
    """The data server answers while it still reads: what it has must stay the same for a second."""
    before = None
    while before != (before := [{tag: len(data) for tag, data in series(read, plugin).items()} for read, plugin in
                                ((provider.read_scalars, "scalars"), (provider.read_tensors, "histograms"))]):
        time.sleep(1)


def series(read, plugin):
    """tag -> [datum] of the run."""
    runs = read(context.RequestContext(), experiment_id="", plugin_name=plugin, downsample=10**9)
    if unexpected := set(runs) - {RUN}:
        sys.exit(f"more than one run below the directory: {sorted(unexpected)}")
    return runs.get(RUN, {})


def steps_once(tag, data):
    steps = [d.step for d in data]
    if steps != sorted(set(steps)):
        yield f"{tag}: steps {steps}: not each once, and rising"


def compare_texts(lines, texts):
    """Every sample, readable as it was written, and each session's configuration, once."""
    expected = {"config": {0}}
    written = {}
    for line in lines:
        if line["event"] == "sample":
            tag = f"generation/prompt_{line['prompt_index']}_sample_{line['sample_index']}"
            expected.setdefault(tag, set()).add(line["step"])
            written[tag, line["step"]] = line.get("prompt", "") + line["text"]
        elif line["event"] == "run" and line.get("resumed"):
            expected["config"].add(line["step"] + 1)
    for tag in sorted(expected.keys() | texts.keys()):
        yield from steps_once(tag, texts.get(tag, []))
        if {d.step for d in texts.get(tag, [])} != expected.get(tag, set()):
            yield f"{tag}: texts at steps {[d.step for d in texts.get(tag, [])]}, want {sorted(expected.get(tag, []))}"
        for d in texts.get(tag, []):
            shown = words(rendered(d.numpy.reshape(-1)[0]))
            if tag != "config" and shown != words(written.get((tag, d.step), "")):
                yield f"{tag}: step {d.step}: shows {shown!r}, want {words(written[tag, d.step])!r}"


def rendered(markdown):
    """What a person reads of a text in the TEXT tab."""
    return html.unescape(re.sub("<[^>]*>", " ", plugin_util.markdown_to_safe_html(markdown)))


def words(text):
    """text without white space, and without what cannot be shown."""
    return "".join(c for c in text if not c.isspace() and c.isprintable() and c != "\ufffd")


def compare_histograms(histograms):
    """All at the same steps; counts that add up; buckets that follow one another."""
    steps = {}
    for tag, data in histograms.items():
        yield from steps_once(tag, data)
        steps.setdefault(tuple(d.step for d in data), []).append(tag)
        for d in data:
            buckets = d.numpy
            if len(buckets) and buckets[0, 2] == 0:  # the empty one below all others
                buckets = buckets[1:]
            left, right, count = buckets.T
            if count.sum() < 1 or (count < 0).any() or (count != np.floor(count)).any():
                yield f"{tag}: step {d.step}: counts {count}"
            if (left[1:] != right[:-1]).any() or (left > right).any():
                yield f"{tag}: step {d.step}: buckets overlap or leave gaps"
    if len(steps) > 1:
        yield f"histograms differ in their steps: {sorted(steps)}"


def flat(config, prefix=""):
    """section.key -> value of what the HPARAMS tab shows."""
    left_out = {"output_dir", "logging_dir", "model_name", "resume", "data.cache_dir", "monitoring"}
    for key, value in config.items():
        if prefix + key in left_out:
            continue
        if isinstance(value, dict):
            yield from flat(value, prefix + key + ".")
        elif isinstance(value, (bool, int, float, str)):
            yield prefix + key, value


def compare_hparams(lines, provider):
    """One session, its configuration's values, how it ended, and the last evaluation beside them."""
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE], slice_size=100)
    groups = Handler(context.RequestContext(), Context(TBContext(data_provider=provider)), "", request).run().session_groups
    if len(groups) != 1 or len(groups[0].sessions) != 1:
        yield f"hparams: {len(groups)} groups of sessions, want one of one"
        return
    got = {key: getattr(value, value.WhichOneof("kind")) for key, value in groups[0].hparams.items()}
    want = dict(flat(next(line["config"] for line in lines if "config" in line)))
    for key in sorted(got.keys() | want.keys()):
        if got.get(key) != want.get(key) or isinstance(got.get(key), bool) != isinstance(want.get(key), bool):
            yield f"hparams: {key}: {got.get(key)!r}, want {want.get(key)!r}"
    session = groups[0].sessions[0]
    status = {"complete": api_pb2.STATUS_SUCCESS, "stopped": api_pb2.STATUS_FAILURE}.get(lines[-1].get("status"), api_pb2.STATUS_UNKNOWN)
    if session.status != status:
        yield f"hparams: status {api_pb2.Status.Name(session.status)}, want {api_pb2.Status.Name(status)}"
    metrics = {m.name.tag: m.value for m in session.metric_values}
    evaluations = [line["loss"] for line in lines if line["event"] == "eval"]
    if evaluations and metrics.get("eval/loss") != float32(evaluations[-1]):
        yield f"hparams: eval/loss {metrics.get('eval/loss')}, want {float32(evaluations[-1])}"


def differences(lines, provider, show):
    """One line for each; show prints the tags."""
    scalars = series(provider.read_scalars, "scalars")
    texts = series(provider.read_tensors, "text")
    histograms = series(provider.read_tensors, "histograms")
    for tag, data in show * sorted(scalars.items()):
        print(f"{tag:34} {len(data):6} steps {data[0].step} … {data[-1].step}, last {data[-1].value:.6g}")
    for tag, data in show * sorted(texts.items()):
        print(f"{tag:34} {len(data):6} texts, last: {data[-1].numpy.reshape(-1)[0].decode().strip().splitlines()[0][:50]}")
    for tag, data in show * sorted(histograms.items()):
        print(f"{tag:60} {len(data):6} histograms, last of {data[-1].numpy[:, 2].sum():.0f} in {len(data[-1].numpy)} buckets")
    if not scalars:
        yield "no scalars at all"
    yield from compare(expected_scalars(lines), {tag: [(d.step, d.value) for d in data] for tag, data in scalars.items()})
    yield from compare_texts(lines, texts)
    yield from compare_histograms(histograms)
    yield from compare_hparams(lines, provider)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--golden":
        return write_golden(sys.argv[2])
    with open(sys.argv[2], encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    failed = False
    for index, (name, provider) in enumerate(readers(sys.argv[1])):
        found = list(differences(lines, provider, show=index == 0))
        for difference in found:
            print(f"DIFFERENT {name}: {difference}")
        failed = failed or bool(found)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
