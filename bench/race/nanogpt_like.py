#!/usr/bin/env python3
"""The peer: a GPT-2 trained the way nanoGPT trains one, in plain PyTorch, eager or compiled. bench/race runs it beside our trainer.

    python3 bench/race/nanogpt_like.py init SETTINGS DIR                        # random weights, as a Hugging Face directory
    python3 bench/race/nanogpt_like.py train SETTINGS ROWS OUTPUT CHECKED MODE  # from those in init_from; writes metrics.jsonl
    python3 bench/race/nanogpt_like.py evaluate SETTINGS ROWS MODE              # the mean loss of all rows, twice; prints JSON

MODE is eager, or a mode of torch.compile: default or max-autotune. SETTINGS is the JSON file that our trainer is given as its
configuration; the keys mean the same here. ROWS holds uint16 token ids, max_position_embeddings to a row, rows in the order
in which they are trained on, batch_size to a step. Of the first CHECKED steps, metrics.jsonl has the norm of the gradients in fp64 as
well; computing it is in no time that is told.
"""
import contextlib
import datetime
import json
import math
import pathlib
import sys
import time

import numpy
import safetensors.torch
import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.n_head = s["num_heads"]
        self.c_attn = nn.Linear(s["hidden_size"], 3 * s["hidden_size"])
        self.c_proj = nn.Linear(s["hidden_size"], s["hidden_size"])

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in self.c_attn(x).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class MLP(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.c_fc = nn.Linear(s["hidden_size"], s["intermediate_size"])
        self.c_proj = nn.Linear(s["intermediate_size"], s["hidden_size"])

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.ln_1 = nn.LayerNorm(s["hidden_size"])
        self.attn = Attention(s)
        self.ln_2 = nn.LayerNorm(s["hidden_size"])
        self.mlp = MLP(s)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Parameters have Hugging Face's names, less the prefix "transformer."."""

    def __init__(self, s):
        super().__init__()
        self.wte = nn.Embedding(s["vocab_size"], s["hidden_size"])
        self.wpe = nn.Embedding(s["max_position_embeddings"], s["hidden_size"])
        self.h = nn.ModuleList(Block(s) for _ in range(s["num_layers"]))
        self.ln_f = nn.LayerNorm(s["hidden_size"])

    def forward(self, idx, targets):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)  # tied
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


def to_file(name, tensor):
    """Hugging Face's Conv1D keeps a weight as [in, out], nn.Linear as [out, in]. Its own inverse."""
    linear = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
    return tensor.t().contiguous() if linear else tensor


def init(s, directory):
    """Writes random weights, drawn from the seed by GPT-2's scheme, as save_pretrained would."""
    torch.manual_seed(s["seed"])
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model = GPT(s)
    for name, p in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(p, std=0.02 / math.sqrt(2 * s["num_layers"]))
        elif p.dim() > 1:
            nn.init.normal_(p, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(p)
    weights = {"transformer." + name: to_file(name, p.detach()) for name, p in model.named_parameters()}
    safetensors.torch.save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(dict(
        architectures=["GPT2LMHeadModel"], model_type="gpt2", vocab_size=s["vocab_size"], n_positions=s["max_position_embeddings"],
        n_embd=s["hidden_size"], n_layer=s["num_layers"], n_head=s["num_heads"], n_inner=s["intermediate_size"],
        activation_function="gelu_new", layer_norm_epsilon=1e-5, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0)))


def load(model, directory):
    weights = safetensors.torch.load_file(pathlib.Path(directory) / "model.safetensors")
    model.load_state_dict({name.removeprefix("transformer."): to_file(name, w) for name, w in weights.items()})


def optimizer_of(model, s):
    """Matrices and embeddings decay, biases and LayerNorm parameters do not."""
    decay = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=decay, weight_decay=s["weight_decay"]), dict(params=plain, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=s["learning_rate"], betas=(s["adam_beta1"], s["adam_beta2"]), eps=s["adam_epsilon"], fused=True)


def learning_rate(done, s):
    """Cosine with warm-up: the rate of the update that follows this many."""
    if done < s["warmup_steps"]:
        return s["learning_rate"] * done / s["warmup_steps"]
    ratio = (done - s["warmup_steps"]) / max(1, s["max_steps"] - s["warmup_steps"])
    coefficient = 0.5 * (1 + math.cos(math.pi * ratio))
    return s["learning_rate"] * (s["min_lr_ratio"] + (1 - s["min_lr_ratio"]) * coefficient)


def batch(rows, step, s):
    """ids [B, T] and the id that follows each; -1 behind a row's last, which has no target."""
    B = s["batch_size"]
    ids = torch.from_numpy(rows[step * B:(step + 1) * B].astype(numpy.int64))
    targets = torch.full_like(ids, -1)
    targets[:, :-1] = ids[:, 1:]
    return ids, targets


def start(s, rows_file, mode):
    """The model with the first weights, what to call it by, the rows, and the context that the forward pass runs in."""
    torch.set_num_threads(s["threads"])
    rows = numpy.memmap(rows_file, dtype=numpy.uint16, mode="r").reshape(-1, s["max_position_embeddings"])
    model = GPT(s)
    load(model, s["init_from"])
    forward = model if mode == "eager" else torch.compile(model, mode=mode)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16) if s["precision"] == "bf16" else contextlib.nullcontext()
    return model, forward, rows, autocast


class Check:
    """The norm of the gradients in fp64, of the first steps, and how long computing it took. What clip_grad_norm_ returns is
    in fp32, and 1e-3 off over the 19 million numbers of an embedding: too far to tell whether two sides have the same gradients."""

    def __init__(self, steps):
        self.steps, self.seconds = steps, 0.0

    def norm(self, step, model):
        """Fields for the line of the step that is being made, the first being 0: the norm before clipping, or nothing."""
        if step >= self.steps:
            return {}
        begin = time.perf_counter()
        squares = 0.0
        for p in model.parameters():
            for piece in p.grad.reshape(-1).split(1 << 20):  # so that the peak of memory stays what it was
                squares += piece.double().square().sum().item()
        self.seconds += time.perf_counter() - begin
        return dict(grad_norm=math.sqrt(squares))

    def clock(self):
        """Seconds, those of computing norms left out."""
        return time.perf_counter() - self.seconds

    def time(self):
        """What the clock on the wall would show without them."""
        return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=self.seconds)).isoformat()


def train(s, rows_file, output, checked, mode):
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    model, forward, rows, autocast = start(s, rows_file, mode)
    optimizer = optimizer_of(model, s)
    check = Check(checked)
    with (output / "metrics.jsonl").open("w") as metrics:
        begin = check.clock()
        for step in range(s["max_steps"]):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, s)
            ids, targets = batch(rows, step, s)
            with autocast:
                loss = forward(ids, targets)
            loss.backward()
            norm = check.norm(step, model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            line = dict(event="train", step=step + 1, loss=loss.item()) | norm
            now = check.clock()
            line |= dict(step_seconds=now - begin, time=check.time())
            begin = now
            print(json.dumps(line), file=metrics, flush=True)


def evaluate(s, rows_file, mode):
    """The second pass is the one that is timed: the first compiles and warms up. Whole batches only, as the caller sees to."""
    model, forward, rows, autocast = start(s, rows_file, mode)
    model.eval()
    with torch.inference_mode():
        for _ in range(2):
            begin = time.perf_counter()
            losses = []
            for step in range(len(rows) // s["batch_size"]):
                with autocast:
                    losses.append(forward(*batch(rows, step, s)).item())
            seconds = time.perf_counter() - begin
    print(json.dumps(dict(loss=sum(losses) / len(losses), tokens=rows.size, seconds=seconds)))


def main():
    match sys.argv[1:]:
        case ["init", settings, directory]:
            init(json.loads(pathlib.Path(settings).read_text()), directory)
        case ["train", settings, rows, output, checked, mode]:
            train(json.loads(pathlib.Path(settings).read_text()), rows, output, int(checked), mode)
        case ["evaluate", settings, rows, mode]:
            evaluate(json.loads(pathlib.Path(settings).read_text()), rows, mode)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
