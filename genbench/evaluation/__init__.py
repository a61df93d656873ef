"""How good are these images? From two folders, arrays or published statistics to a table.

sides        what is compared: images, existing features, or published statistics
materials    from both sides to features in one extractor, kept in a folder
comparison   evaluate: all metrics that the two sides allow
results      Evaluation: a record, and a table of it
page         the same as a page with pictures

Features and metrics are those of the pipeline, and give the same numbers.
"""

from genbench.evaluation.comparison import evaluate
from genbench.evaluation.results import Evaluation

__all__ = ["Evaluation", "evaluate"]
