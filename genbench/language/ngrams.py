"""n-gram models to compare with, on the same tokens: interpolated Kneser-Ney (Ney et al. 1994), by NLTK."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

DISCOUNT = 0.75  # taken from each count for unseen n-grams: the usual value


class NgramModel:
    """Predicts the token after n - 1 tokens by how often it followed them in a text; in shorter contexts, by how many
    different tokens it followed.

    No token of the vocabulary is impossible: each counts once more than it occurs (in a model of single tokens), or
    follows one more token than it does in the text. tokens: the mark of the text's beginning, then the text.
    """

    def __init__(self, order: int, tokens: Sequence[int], vocab_size: int) -> None:
        from nltk.lm import MLE, KneserNeyInterpolated, NgramCounter, Vocabulary

        self.order = order
        grams = (
            tuple(tokens[end - length : end])
            for length in range(1, order + 1)
            for end in range(max(length, 2), len(tokens) + 1)  # the mark of the beginning follows nothing
        )
        self.counter = counter = NgramCounter([grams])
        self.size = sum(len(following) for n in range(2, order + 1) for following in counter[n].values()) + vocab_size
        nothing = () if order == 1 else (vocab_size,)  # the one more token that each follows: it is not in the text
        counter.update([[(*nothing, token) for token in range(vocab_size)]])
        vocabulary = Vocabulary(range(vocab_size), unk_cutoff=1)
        if order == 1:
            model = MLE(1, vocabulary=vocabulary, counter=counter)
        else:
            model = KneserNeyInterpolated(order, DISCOUNT, vocabulary=vocabulary, counter=counter)
            self._follows, self._followed = self._continuations()
            model.estimator._continuation_counts = self._continuation_counts
        model.unmasked_score = cache(model.unmasked_score)  # it calls itself for every shorter context
        self._score = model.unmasked_score

    def _continuations(self) -> tuple[Counter[tuple[int, ...]], Counter[tuple[int, ...]]]:
        """How many different tokens each n-gram follows; and the sums of these over all n-grams of a context.

        NLTK searches all n-grams for each token that it scores (https://github.com/nltk/nltk/issues/3317).
        """
        follows, followed = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
        for n in range(2, self.order + 1):
            for (_, *context), following in self.counter[n].items():
                follows.update((*context, token) for token in following)
                followed[tuple(context)] += len(following)
        return follows, followed

    def _continuation_counts(self, word: int, context: tuple[int, ...] = ()) -> tuple[int, int]:
        if found := self._followed[context]:
            return self._follows[*context, word], found
        counts = self.counter[context]  # the context begins with the text, so nothing precedes it
        return counts[word], counts.N()

    def losses(self, tokens: Sequence[int]) -> list[float]:
        """Negative log-likelihoods of all tokens but the first, in nats."""
        reach = self.order - 1
        return [
            -math.log(self._score(tokens[place], tuple(tokens[max(0, place - reach) : place])))
            for place in range(1, len(tokens))
        ]
