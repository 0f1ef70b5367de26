#!/usr/bin/env python3
"""The peer with something wrong in it, to see that the race would notice: bench/race -faults runs it.

    python3 bench/race/faults.py list                                           # their names, a line each, and none
    python3 bench/race/faults.py FAULT train SETTINGS ROWS OUTPUT CHECKED MODE  # nanogpt_like.py with it
"""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

import nanogpt_like as peer

faults = {"none": lambda: None}


def fault(f):
    faults[f.__name__.replace("_", "-")] = f
    return f


def settings(**changed):
    """Trains with other settings than those that both sides were given."""
    plain = peer.train
    peer.train = lambda s, *arguments: plain(s | {name: change(s[name]) for name, change in changed.items()}, *arguments)


def batches(change):
    """Trains on other batches: change gets a function from a step to the batch, and the step."""
    plain = peer.batch
    peer.batch = lambda rows, step, s: change(lambda i: plain(rows, i, s), step)


def model(change):
    """Changes the model behind its weights: what is frozen or replaced."""
    plain = peer.load

    def load(m, directory):
        plain(m, directory)
        change(m)
    peer.load = load


# The model.

@fault
def gelu_by_erf():
    plain = F.gelu
    F.gelu = lambda x, approximate: plain(x)


@fault
def layernorm_eps_1e_6():
    model(lambda m: [setattr(n, "eps", 1e-6) for n in m.modules() if isinstance(n, nn.LayerNorm)])


@fault
def layernorm_eps_1_1e_5():
    """A tenth more than it ought to be."""
    model(lambda m: [setattr(n, "eps", 1.1e-5) for n in m.modules() if isinstance(n, nn.LayerNorm)])


@fault
def first_layernorm_twice():
    model(lambda m: setattr(m.h[0], "ln_2", m.h[0].ln_1))


@fault
def not_causal():
    plain = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = lambda q, k, v, is_causal: plain(q, k, v)


@fault
def attention_scale_1_percent_off():
    plain = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = lambda q, k, v, is_causal: plain(q, k, v, is_causal=True, scale=1.01 * q.size(-1) ** -0.5)


@fault
def biases_frozen():
    model(lambda m: [p.register_hook(torch.zeros_like) for name, p in m.named_parameters() if name.endswith("bias")])


@fault
def block_frozen():
    model(lambda m: [p.register_hook(torch.zeros_like) for p in m.h[0].parameters()])


@fault
def embedding_frozen_but_for_the_head():
    """As if the weights were not tied: the input has no part in their gradient."""
    plain = F.embedding
    F.embedding = lambda ids, w, *arguments: plain(ids, w.detach() if w.size(0) > 1024 else w, *arguments)


@fault
def dropout_one_in_ten_thousand():
    plain = peer.Block.forward
    peer.Block.forward = lambda self, x: plain(self, F.dropout(x, 1e-4))


# The data.

@fault
def half_the_batch():
    batches(lambda batch, step: [t[:max(1, t.size(0) // 2)] for t in batch(step)])


@fault
def half_the_row():
    batches(lambda batch, step: [t[:, :t.size(1) // 2].contiguous() for t in batch(step)])


@fault
def one_target_fewer():
    def change(batch, step):
        ids, targets = batch(step)
        targets[0, 0] = -1
        return ids, targets
    batches(change)


@fault
def second_batch_again():
    batches(lambda batch, step: batch(min(step, 1)))


@fault
def two_batches_exchanged():
    batches(lambda batch, step: batch({1: 2, 2: 1}.get(step, step)))


# The update.

@fault
def no_clipping():
    settings(max_grad_norm=lambda x: 1e9)


@fault
def no_decay():
    settings(weight_decay=lambda x: 0.0)


@fault
def decay_of_everything():
    peer.optimizer_of = lambda m, s: torch.optim.AdamW(
        m.parameters(), lr=s["learning_rate"], betas=(s["adam_beta1"], s["adam_beta2"]), eps=s["adam_epsilon"], weight_decay=s["weight_decay"], fused=True)


@fault
def beta2_0_999():
    settings(adam_beta2=lambda x: 0.999)


@fault
def beta1_0_91():
    settings(adam_beta1=lambda x: 0.91)


@fault
def adam_epsilon_1e_7():
    settings(adam_epsilon=lambda x: 1e-7)


@fault
def rate_1_percent_off():
    settings(learning_rate=lambda x: 1.01 * x)


@fault
def schedule_one_step_early():
    plain = peer.learning_rate
    peer.learning_rate = lambda done, s: plain(done + 1, s)


@fault
def every_fourth_update_skipped():
    plain = torch.optim.AdamW.step

    def step(self):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls % 4:
            plain(self)
    torch.optim.AdamW.step = step


# The precision.

@fault
def the_other_precision():
    settings(precision=lambda x: "fp32" if x == "bf16" else "bf16")


@fault
def head_in_the_other_precision():
    plain = peer.GPT.forward

    def forward(self, idx, targets):
        linear = F.linear

        def of_the_head(x, w, b=None):
            if w is not self.wte.weight:
                return linear(x, w, b)
            other = torch.autocast("cpu", enabled=False) if torch.is_autocast_enabled("cpu") else torch.autocast("cpu", dtype=torch.bfloat16)
            with other:
                return linear(x.float(), w)
        F.linear = of_the_head
        try:
            return plain(self, idx, targets)
        finally:
            F.linear = linear
    peer.GPT.forward = forward


def main():
    if sys.argv[1:] == ["list"]:
        print("\n".join(faults))
    elif len(sys.argv) > 2 and sys.argv[1] in faults:
        faults[sys.argv.pop(1)]()
        peer.main()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
