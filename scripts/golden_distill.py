#!/usr/bin/env python3
"""Golden file for trainer/distill: a student's losses and gradients beside a teacher's, by torch.nn.functional.kl_div and
cross_entropy through Hugging Face's GPT2LMHeadModel, in float64 on the CPU.

    pip install torch==2.11.0 transformers==5.23.0 numpy
    python3 scripts/golden_distill.py        # writes trainer/distill/testdata

student/ and teacher/ are directories as save_pretrained writes them: of different widths and depths, of one vocabulary.
golden.json has rows of ids by micro-batch (padded by whoever reads it, to their longest), and cases: a temperature, an alpha,
and top_k, 0 for the exact loss. Each has its task loss, its distillation loss (T²·KL) and its objective, means over the
targets of all micro-batches; golden.safetensors has N.NAME, the gradient of case N's objective by the student's weight NAME.
With top_k the divergence is that of k+1 buckets, the last of which is the rest of the probability, and its gradient autograd's;
N.ids, N.log_probs and N.rest are what the teacher says at each position of the micro-batches, one after another.
"""
import json
import pathlib

import safetensors.torch
import torch
import torch.nn.functional as F
import transformers

TESTDATA = pathlib.Path(__file__).parent.parent / "trainer" / "distill" / "testdata"
COMMAND = "python3 scripts/golden_distill.py"
VOCABULARY = 83
STUDENT = dict(n_embd=12, n_head=3, n_inner=20, n_layer=1, n_positions=13)
TEACHER = dict(n_embd=18, n_head=2, n_inner=40, n_layer=2, n_positions=17)  # it may see further
LENGTHS = [[13, 5, 1], [9, 2], [13]]  # of the rows of three micro-batches; a row of one id has no target
CASES = [(1.0, 0.5, 0), (2.0, 0.5, 0), (4.0, 0.9, 0), (2.0, 1.0, 0), (0.5, 0.25, 0), (2.0, 0.0, 0),
         (2.0, 0.5, 5), (1.0, 1.0, 1), (3.0, 0.7, 40), (2.0, 0.5, VOCABULARY)]


def model_of(settings, seed):
    torch.manual_seed(seed)
    config = transformers.GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=0, vocab_size=VOCABULARY, **settings)
    config._attn_implementation = "eager"
    model = transformers.GPT2LMHeadModel(config).float()
    with torch.no_grad():  # as of trained models: logits of size 1 and more
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def batch_of(rows):
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    targets = torch.full_like(ids, -100)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        targets[i, :len(row) - 1] = torch.tensor(row[1:])
    return ids, targets


def kept(logits, temperature, k):
    """The k largest log-probabilities, their ids, and the log of the rest."""
    log_probs = F.log_softmax(logits / temperature, -1)
    values, ids = log_probs.topk(k, -1)
    rest = log_probs.exp().scatter(-1, ids, 0).sum(-1).log()
    return ids, values, rest


def divergence(student, teacher, temperature, k):
    """KL at each position, [B, T]."""
    log_q = F.log_softmax(student / temperature, -1)
    if k == 0:
        return F.kl_div(log_q, F.log_softmax(teacher / temperature, -1), reduction="none", log_target=True).sum(-1)
    ids, log_p, rest = kept(teacher, temperature, k)
    buckets = F.kl_div(log_q.gather(-1, ids), log_p, reduction="none", log_target=True).sum(-1)
    if k == teacher.shape[-1]:
        return buckets
    log_rest = log_q.exp().scatter(-1, ids, 0).sum(-1).log()
    return buckets + rest.exp() * (rest - log_rest)


def case(student, teacher, batches, temperature, alpha, k):
    targets = sum(int((t >= 0).sum()) for _, t in batches)
    task = distillation = 0
    student.zero_grad()
    for ids, target in batches:
        logits = student(ids).logits
        with torch.no_grad():
            wanted = teacher(ids).logits
        valid = target >= 0
        ce = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=-100, reduction="sum")
        kl = (divergence(logits, wanted, temperature, k) * valid).sum() * temperature**2
        ((alpha * kl + (1 - alpha) * ce) / targets).backward()
        task, distillation = task + ce.item() / targets, distillation + kl.item() / targets
    gradients = {name: p.grad.float() for name, p in student.named_parameters()}
    return dict(temperature=temperature, alpha=alpha, top_k=k, task_loss=task, distillation_loss=distillation,
                loss=alpha * distillation + (1 - alpha) * task), gradients


def main():
    generator = torch.Generator().manual_seed(3)
    rows = [[torch.randint(VOCABULARY, (n,), generator=generator).tolist() for n in lengths] for lengths in LENGTHS]
    models = {}
    for name, settings, seed in (("student", STUDENT, 1), ("teacher", TEACHER, 2)):
        models[name] = model_of(settings, seed)
        models[name].save_pretrained(TESTDATA / name)
        models[name].double().eval()
    batches = [batch_of(r) for r in rows]
    cases, tensors = [], {}
    for i, (temperature, alpha, k) in enumerate(CASES):
        numbers, gradients = case(models["student"], models["teacher"], batches, temperature, alpha, k)
        cases.append(numbers)
        tensors |= {f"{i}.{name}": g for name, g in gradients.items()}
        if k:
            with torch.no_grad():
                parts = [[x.flatten(0, 1) for x in kept(models["teacher"](ids).logits, temperature, k)] for ids, _ in batches]
            for j, name in enumerate(("ids", "log_probs", "rest")):
                tensors[f"{i}.{name}"] = torch.cat([p[j] for p in parts]).to(torch.int32 if j == 0 else torch.float32)
        print(numbers)
    versions = dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__, command=COMMAND)
    safetensors.torch.save_file(tensors, TESTDATA / "golden.safetensors", versions)
    lines = [json.dumps(c) for c in cases]
    golden = versions | dict(micro_batches=rows)
    head = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden.items())
    (TESTDATA / "golden.json").write_text("{\n" + head + ',\n  "cases": [\n    ' + ",\n    ".join(lines) + "\n  ]\n}\n")


if __name__ == "__main__":
    main()
