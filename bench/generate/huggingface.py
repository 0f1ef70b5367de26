#!/usr/bin/env python3
"""The peer: Hugging Face's generate. bench/generate runs it beside our own.

    pip install torch==2.11.0 transformers==5.23.0
    python3 bench/generate/huggingface.py init SETTINGS DIR   # random weights for the GPT2Config settings, given as JSON
    python3 bench/generate/huggingface.py serve DIR THREADS   # answers each line of JSON {"prompt": [ids], "n": 1, "tokens": 64}

An answer is {"seconds": 1.5, "texts": [[ids]]}: greedy, in fp32, with the key/value cache, which is generate's default. The
prompt n times is a batch; nothing ends a text.
"""
import json
import sys
import time

try:
    import torch
    import transformers
except ModuleNotFoundError as e:
    sys.exit(f"{sys.executable} has no module {e.name}: python3 -m pip install torch==2.11.0 transformers==5.23.0")


def init(settings, directory):
    torch.manual_seed(1)
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings)).save_pretrained(directory)


def serve(directory, threads):
    torch.set_num_threads(threads)
    model = transformers.GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float32).eval()
    print(json.dumps(dict(torch=torch.__version__, transformers=transformers.__version__)), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        ids = torch.tensor([request["prompt"]] * request["n"])
        mask = torch.ones_like(ids)
        start = time.perf_counter()
        out = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=request["tokens"], eos_token_id=None, pad_token_id=0)
        seconds = time.perf_counter() - start
        print(json.dumps(dict(seconds=seconds, texts=out[:, ids.shape[1]:].tolist())), flush=True)


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    match sys.argv[1:]:
        case ["init", settings, directory]:
            init(json.loads(settings), directory)
        case ["serve", directory, threads]:
            serve(directory, int(threads))
        case _:
            sys.exit(__doc__)
