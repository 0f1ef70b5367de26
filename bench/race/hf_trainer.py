#!/usr/bin/env python3
"""The peer: the same GPT-2 trained by Hugging Face's Trainer. bench/race runs it beside our trainer.

    python3 bench/race/hf_trainer.py train SETTINGS ROWS OUTPUT CHECKED GELU   # from the weights in init_from; writes metrics.jsonl

SETTINGS, ROWS and CHECKED are those of nanogpt_like.py. GELU is gelu_new, which GPT-2's configuration says, or gelu_pytorch_tanh: the
same function, but transformers computes the former by eight operations, each rounded to bf16 there, and the latter by PyTorch's
one. Nothing is logged, evaluated or saved by the Trainer itself; a callback writes a step's loss and time.
"""
import json
import pathlib
import sys

import numpy
import torch
import transformers

import nanogpt_like


class Rows(torch.utils.data.Dataset):
    """A row's first token has no loss. Marked so, it is not counted either."""

    def __init__(self, file, length):
        self.rows = numpy.memmap(file, dtype=numpy.uint16, mode="r").reshape(-1, length)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        ids = torch.from_numpy(self.rows[i].astype(numpy.int64))
        labels = ids.clone()
        labels[0] = -100
        return dict(input_ids=ids, labels=labels)


class Trainer(transformers.Trainer):
    """Remembers the loss of the step, and the norm of its gradients before they are clipped."""

    def training_step(self, model, *arguments, **named):
        self.step_loss = super().training_step(model, *arguments, **named)
        self.step_norm = self.check.norm(self.state.global_step, model)
        return self.step_loss


class Metrics(transformers.TrainerCallback):
    """Writes what the comparison reads."""

    def __init__(self, file):
        self.file = file

    def on_train_begin(self, arguments, state, control, **named):
        self.begin = self.trainer.check.clock()

    def on_step_end(self, arguments, state, control, **named):
        line = dict(event="train", step=state.global_step, loss=self.trainer.step_loss.item()) | self.trainer.step_norm
        now = self.trainer.check.clock()
        line |= dict(step_seconds=now - self.begin, time=self.trainer.check.time())
        self.begin = now
        print(json.dumps(line), file=self.file, flush=True)


def train(s, rows_file, output, checked, gelu):
    torch.set_num_threads(s["threads"])
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    model = transformers.GPT2LMHeadModel.from_pretrained(s["init_from"], dtype=torch.float32, activation_function=gelu)
    arguments = transformers.TrainingArguments(
        output_dir=str(output), use_cpu=True, bf16=s["precision"] == "bf16", seed=s["seed"],
        per_device_train_batch_size=s["batch_size"], gradient_accumulation_steps=1, max_steps=s["max_steps"],
        train_sampling_strategy="sequential", dataloader_pin_memory=False,
        optim="adamw_torch_fused", learning_rate=s["learning_rate"], weight_decay=s["weight_decay"], max_grad_norm=s["max_grad_norm"],
        adam_beta1=s["adam_beta1"], adam_beta2=s["adam_beta2"], adam_epsilon=s["adam_epsilon"], warmup_steps=s["warmup_steps"],
        lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs=dict(min_lr_rate=s["min_lr_ratio"]),
        report_to=[], logging_strategy="no", save_strategy="no", eval_strategy="no", disable_tqdm=True)
    with (output / "metrics.jsonl").open("w") as file:
        metrics = Metrics(file)
        metrics.trainer = Trainer(model=model, args=arguments, train_dataset=Rows(rows_file, s["max_position_embeddings"]), callbacks=[metrics])
        metrics.trainer.check = nanogpt_like.Check(checked)
        metrics.trainer.remove_callback(transformers.PrinterCallback)
        metrics.trainer.train()


def main():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    match sys.argv[1:]:
        case ["train", settings, rows, output, checked, gelu]:
            train(json.loads(pathlib.Path(settings).read_text()), rows, output, int(checked), gelu)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
