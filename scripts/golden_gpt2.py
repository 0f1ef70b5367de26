#!/usr/bin/env python3
"""Golden files for trainer/gpt2: Hugging Face's GPT2LMHeadModel in fp32 on the CPU, with eager attention.

    pip install torch==2.11.0 transformers==5.23.0 numpy
    python3 scripts/golden_gpt2.py           # writes trainer/gpt2/testdata
    python3 scripts/golden_gpt2.py DIR       # opens a model written by frugal and compares its logits with DIR/logits.safetensors:
                                             # go test ./trainer/gpt2 -run FromPretrained -args -write DIR

A case is a directory as save_pretrained writes it, and golden.safetensors: the padded input_ids [B, T], the lengths of the
rows, the logits [B, T, V], the loss (mean over the targets that are not padding), its gradient by each weight; loss and
gradients once more under bf16 autocast, with the kernels that anybody takes who minds the time: Hugging Face's own gelu_new
is eight operations, each of which rounds, and its mask keeps attention from the causal kernel.
updates.json are 50 AdamW updates that begin at a case's weights: a window is a list of micro-batches, each a list of rows.
"""
import json
import pathlib
import sys

import safetensors.torch
import torch
import transformers

TESTDATA = pathlib.Path(__file__).parent.parent / "trainer" / "gpt2" / "testdata"
COMMAND = "python3 scripts/golden_gpt2.py"

# Sizes that are multiples of nothing, rows of every kind: full, short, of one id (no target).
CASES = {
    "odd": (dict(n_embd=30, n_head=3, n_inner=77, n_layer=2, vocab_size=211, n_positions=19), [19, 7, 1, 12, 2]),
    "gelu": (dict(n_embd=20, n_head=5, n_inner=None, n_layer=3, vocab_size=97, n_positions=11, activation_function="gelu",
                  layer_norm_epsilon=1e-3), [11, 11, 4]),
    "onehead": (dict(n_embd=15, n_head=1, n_inner=8, n_layer=1, vocab_size=301, n_positions=8), [8, 8]),
}
UPDATES = dict(case="odd", updates=50, learning_rate=6e-3, warmup_steps=7, weight_decay=0.1, beta1=0.9, beta2=0.98, epsilon=1e-8,
               max_grad_norm=1.3)


def model_of(name, attention="eager"):
    torch.manual_seed(sum(name.encode()))
    settings = CASES[name][0]
    config = transformers.GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=0, **settings)
    config._attn_implementation = attention
    model = transformers.GPT2LMHeadModel(config).float()
    with torch.no_grad():  # weights as of a trained model: logits of size 1, attention that prefers, biases that matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


def batch_of(rows):
    """Pads rows of ids to input_ids, attention_mask and labels."""
    length = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :len(row)] = 1
    return dict(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))


def rows_of(lengths, vocab_size, generator):
    return [torch.randint(vocab_size, (n,), generator=generator).tolist() for n in lengths]


def write_case(name):
    settings, lengths = CASES[name]
    model = model_of(name)
    directory = TESTDATA / name
    model.save_pretrained(directory)
    batch = batch_of(rows_of(lengths, settings["vocab_size"], torch.Generator().manual_seed(1)))
    out = model(**batch)
    out.loss.backward()
    tensors = {"grad." + n: p.grad for n, p in model.named_parameters()}
    half = model_of(name, "sdpa")
    if half.config.activation_function == "gelu_new":
        for block in half.transformer.h:
            block.mlp.act = torch.nn.GELU("tanh")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = half(input_ids=batch["input_ids"], labels=batch["labels"]).loss
    loss.backward()
    tensors |= {"bf16.grad." + n: p.grad for n, p in half.named_parameters()} | {"bf16.loss": loss.detach()}
    tensors |= {"input_ids": batch["input_ids"], "lengths": torch.tensor(lengths), "logits": out.logits.detach(),
                "loss": out.loss.detach()}
    metadata = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "command": COMMAND}
    safetensors.torch.save_file(tensors, directory / "golden.safetensors", metadata)


def windows_of(vocab_size, positions):
    """Windows of three unequal micro-batches of text that can be learned: counting upwards with slips. The last is short."""
    generator = torch.Generator().manual_seed(2)
    random = lambda low, high: int(torch.randint(low, high + 1, (1,), generator=generator))
    for update in range(UPDATES["updates"]):
        window = []
        for _ in range(3 if update < UPDATES["updates"] - 1 else 1):
            starts = [(random(0, vocab_size - 1), random(1, positions)) for _ in range(random(1, 3))]
            starts.append((random(0, vocab_size - 1), positions))  # never a window without targets
            window.append([[(s + i + (random(1, 8) == 1)) % vocab_size for i in range(n)] for s, n in starts])
        yield window


def write_updates():
    u = UPDATES
    model = model_of(u["case"])
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=u["weight_decay"]), dict(params=vectors, weight_decay=0)],
                                  lr=u["learning_rate"], betas=(u["beta1"], u["beta2"]), eps=u["epsilon"])
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, u["warmup_steps"], u["updates"])
    windows = list(windows_of(CASES[u["case"]][0]["vocab_size"], CASES[u["case"]][0]["n_positions"]))
    losses, norms, rates = [], [], []
    for window in windows:
        targets = sum(len(row) - 1 for rows in window for row in rows)
        loss = 0
        for rows in window:
            part = model(**batch_of(rows), num_items_in_batch=targets).loss
            part.backward()
            loss += part.item()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), u["max_grad_norm"]).item())
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(loss)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    versions = dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__, command=COMMAND)
    golden = versions | u | dict(losses=losses, grad_norms=norms, learning_rates=rates, windows=windows)
    lines = [f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden.items()]
    (TESTDATA / "updates.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"updates: loss {losses[0]:.3f} → {losses[-1]:.3f}, clipped {sum(n > u['max_grad_norm'] for n in norms)} of {len(norms)}")


def check(directory):
    golden = safetensors.torch.load_file(pathlib.Path(directory) / "logits.safetensors")
    model, loading = transformers.GPT2LMHeadModel.from_pretrained(directory, output_loading_info=True)
    for problem, names in loading.items():
        if names:
            sys.exit(f"{directory}: {problem}: {names}")
    with torch.no_grad():
        logits = model.eval()(golden["input_ids"]).logits
    difference = (logits - golden["logits"]).abs().max().item()
    print(f"{directory}: {sum(p.numel() for p in model.parameters())} weights, logits up to {logits.abs().max():.3f}, "
          f"largest difference {difference:.2g}")
    sys.exit(0 if difference <= 1e-5 else 1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[1])
    for case in CASES:
        write_case(case)
    write_updates()
