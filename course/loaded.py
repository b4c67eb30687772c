"""What the chapters load, loaded: libraries, the digits, TinyGPT, its text, the small network.

The grader's warm processes import this once, and whatever they fork has it all. Nobody else needs it.
"""

import sklearn.linear_model
import sklearn.model_selection
import torch._dynamo
import torch.nn.utils.prune
import torch.utils.flop_counter
import tqdm.auto

from course import benchmark, cases, challenge, check, data, expect, figures, hardware, models, probe, timing, tinygpt

__all__ = [
    "benchmark",
    "cases",
    "challenge",
    "check",
    "expect",
    "figures",
    "hardware",
    "probe",
    "sklearn",
    "timing",
    "torch",
    "tqdm",
]

data.digits()
models.trained_mlp()
tinygpt.tiny_gpt()
tinygpt.held_out()
tinygpt.training_text()
challenge.in_16_bits()
