"""One reverse process for every diffusion model: a model predicts x0_hat from x_t, and a step moves to an earlier time.

A step moves from time t to any earlier time s, with one prediction or several. A sampler that chooses its own times, or
how often it visits them, or that must know all of them beforehand, is a walk instead: a generator.
"""

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

from genbench.tensors import Images


class Prediction(NamedTuple):
    """A model's prediction from x_t: x0_hat and, if learned, the variance of the step in log space.

    variance_fraction f, about [0, 1]: log variance = f log(beta) + (1 - f) log(the posterior's variance).
    """

    x0: Images
    variance_fraction: Images | None = None


Predict = Callable[[Images, int], Prediction]  # (x_t, t) -> prediction of x_0
Step = Callable[[Predict, Images, int, int], Images]  # (predict, x_t, t, s) -> x_s, s < t
Walk = Callable[[Predict, Images, Sequence[int]], Iterator[Images]]  # a generator: (predict, x_T, times) -> every x_s


def is_walk(step: Step | Walk) -> bool:
    """Whether `step` is a generator, even if it is wrapped in a type check at run time."""
    return inspect.isgeneratorfunction(inspect.unwrap(step))


def reverse_path(x_T: Images, timesteps: Sequence[int], predict: Predict, step: Step | Walk) -> Iterator[Images]:
    """Walk from x_T to data along `timesteps` (descending, each at least 1; 0 is appended), and yield every x_s.

    A walk receives the same times and may yield any number of images.
    """
    if is_walk(step):
        yield from cast(Walk, step)(predict, x_T, timesteps)
        return
    x, move = x_T, cast(Step, step)
    for t, s in pairwise([*timesteps, 0]):
        x = move(predict, x, t, s)
        yield x


def reverse_process(x_T: Images, timesteps: Sequence[int], predict: Predict, step: Step | Walk) -> Images:
    """The last image of `reverse_path`: the sample."""
    return deque(reverse_path(x_T, timesteps, predict, step), maxlen=1)[0]
