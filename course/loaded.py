"""What the chapters load, loaded: libraries, the digits, TinyGPT, its text, the small trained network.

The grader's warm process imports this once, and whatever it forks has it all. Nobody else needs it.
"""

import scipy.linalg
import scipy.sparse
import sklearn.linear_model
import sklearn.model_selection
import torch._dynamo
import torch.nn.utils.prune
import torch.utils.flop_counter
import tqdm.auto

import course.benchmark
import course.challenge
import course.check
import course.figures
import course.hardware
import course.probe
from course import data, models, tinygpt

data.digits()
models.trained_mlp()
tinygpt.tiny_gpt()
tinygpt.held_out()
tinygpt.training_text()
