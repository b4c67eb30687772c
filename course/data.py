"""The data every chapter can rely on: it comes with the installed packages, nothing is downloaded."""

import functools
from typing import NamedTuple

import numpy as np
import torch


class Digits(NamedTuple):
    """Images as rows of 64 floats in [0, 1], labels 0 to 9."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


@functools.cache
def digits() -> Digits:
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak, 1998), a quarter held out."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x.astype(np.float32) / 16, y, test_size=0.25, random_state=0, stratify=y
    )
    return Digits(*(torch.from_numpy(part) for part in (x_train, y_train, x_test, y_test)))
