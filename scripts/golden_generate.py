#!/usr/bin/env python3
"""Golden file for generation in trainer/gpt2: Hugging Face's generate and its logits warpers, in fp32 on the CPU.

    pip install torch==2.11.0 transformers==5.23.0
    python3 scripts/golden_generate.py       # writes trainer/gpt2/testdata/generate.json

It reads the models that scripts/golden_gpt2.py wrote. "greedy" are texts by generate(do_sample=False): the prompt, max_length
(tokens, the prompt's included), the end token (-1: none) and what follows the prompt, without the end token. Where the two
likeliest tokens are less than 1e-4 apart a text would depend on rounding, and the script stops. "filters" are settings, logits
and the probabilities that are left after TemperatureLogitsWarper, TopKLogitsWarper and TopPLogitsWarper, in this order, which
is generate's.
"""
import json
import pathlib
import sys

import torch
import transformers
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

TESTDATA = pathlib.Path(__file__).parent.parent / "trainer" / "gpt2" / "testdata"
COMMAND = "python3 scripts/golden_generate.py"
CASES = {"odd": [[0], [5], [17, 3], [100, 42, 7], [210, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]], "gelu": [[0], [96, 95], [1, 2, 3, 4, 5]],
         "onehead": [[300], [7, 7]]}


def generate(model, prompt, **settings):
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, return_dict_in_generate=True,
                         output_logits=True, **settings)
    for logits in out.logits:
        first, second = logits[0].topk(2).values.tolist()
        if first - second < 1e-4:
            sys.exit(f"{prompt}: the two likeliest tokens are {first - second:.2g} apart: take another prompt")
    return out.sequences[0, len(prompt):].tolist()


def greedy():
    for name, prompts in CASES.items():
        model = transformers.GPT2LMHeadModel.from_pretrained(TESTDATA / name, attn_implementation="eager").float().eval()
        for prompt in prompts:
            most = model.config.n_positions
            for length in sorted({most, len(prompt) + 1, (most + len(prompt)) // 2}):
                yield dict(model=name, prompt=prompt, max_length=length, end_token=-1,
                           text=generate(model, prompt, max_length=length, eos_token_id=None))
            text = generate(model, prompt, max_length=most, eos_token_id=None)
            for end in sorted({text[0], text[len(text) // 2]}):
                ended = generate(model, prompt, max_length=most, eos_token_id=end)
                assert ended[-1] == end
                yield dict(model=name, prompt=prompt, max_length=most, end_token=end, text=ended[:-1])


def filters():
    generator = torch.Generator().manual_seed(3)
    random = (torch.randn(40, generator=generator) * 2).tolist()
    flat = [0.0] * 8
    ties = [1.0, 3.0, 3.0, 2.0, 3.0, 2.0, -1.0, 2.0, 0.5]  # three likeliest, then three again
    steep = [float(-i * i) for i in range(12)]
    for logits in (random, flat, ties, steep, [0.25]):
        for temperature, top_k, top_p in ((1, 0, 1), (0.7, 0, 1), (3, 0, 1), (1, 1, 1), (1, 2, 1), (1, 4, 1), (1, len(logits), 1),
                                          (1, 1000, 1), (1, 0, 1e-9), (1, 0, 0.01), (1, 0, 0.31), (1, 0, 0.55), (1, 0, 0.93),
                                          (1, 0, 0.9999), (0.7, 5, 0.83), (2, 3, 0.6), (0.05, 7, 0.95), (1.5, 1000, 0.47)):
            warpers = LogitsProcessorList([TemperatureLogitsWarper(float(temperature))])
            if top_k:
                warpers.append(TopKLogitsWarper(top_k))
            if top_p < 1:
                warpers.append(TopPLogitsWarper(top_p))
            scores = warpers(torch.zeros(1, 1, dtype=torch.int64), torch.tensor([logits]))
            yield dict(temperature=temperature, top_k=top_k, top_p=top_p, logits=logits, probabilities=scores.softmax(-1)[0].tolist())


def main():
    golden = dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__, command=COMMAND)
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()]
    for name, rows in (("greedy", list(greedy())), ("filters", list(filters()))):
        body = ",\n".join("    " + json.dumps(row, separators=(",", ":")) for row in rows)
        lines.append(f'  "{name}": [\n{body}\n  ]')
        print(f"{name}: {len(rows)}")
    (TESTDATA / "generate.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
