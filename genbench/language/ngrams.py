"""n-gram models to compare with, on the same tokens: interpolated absolute discounting (Ney et al. 1994), by NLTK.

Not Kneser-Ney: NLTK's walks over all n-grams for each token that it scores (https://github.com/nltk/nltk/issues/3317).
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache

DISCOUNT = 0.75  # what each count gives to what was not seen: the usual value, and NLTK's


class NgramModel:
    """What follows n - 1 tokens, by how often it did in a text.

    Each token of the vocabulary counts once more than it occurs, so that none is impossible. tokens: the text, behind
    the mark of its beginning.
    """

    def __init__(self, order: int, tokens: Sequence[int], vocab_size: int) -> None:
        from nltk.lm import AbsoluteDiscountingInterpolated, NgramCounter, Vocabulary

        self.order = order
        grams: Iterable[tuple[int, ...]] = (
            tuple(tokens[end - length : end])
            for length in range(1, order + 1)
            for end in range(max(length, 2), len(tokens) + 1)  # the beginning is no token that follows
        )
        counter = NgramCounter([grams, ((token,) for token in range(vocab_size))])
        vocabulary = Vocabulary(range(vocab_size), unk_cutoff=1)
        model = AbsoluteDiscountingInterpolated(order, DISCOUNT, vocabulary=vocabulary, counter=counter)
        self.size = sum(len(following) for n in range(2, order + 1) for following in counter[n].values()) + vocab_size
        model.unmasked_score = cache(model.unmasked_score)  # it asks itself for every shorter context
        self._score = model.unmasked_score

    def losses(self, tokens: Sequence[int]) -> list[float]:
        """Negative log-likelihoods of all tokens but the first, in nats."""
        reach = self.order - 1
        return [
            -math.log(self._score(tokens[place], tuple(tokens[max(0, place - reach) : place])))
            for place in range(1, len(tokens))
        ]
