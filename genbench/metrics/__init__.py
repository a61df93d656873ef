"""What the numbers of a table mean: arrays of features in, numbers out. No network and no torch here.

A metric compares the features of real and of generated images, or looks at the logits that a classifier gives to
the generated ones. Every function takes the real set first. The name FID is kept for Inception features: the
same distance in any other feature space is a Frechet distance, FD, named after the extractor of the features.
"""

from genbench.metrics.checks import MetricWarning
from genbench.metrics.definitions import (
    MANIFOLDS,
    METRICS,
    EvaluationOptions,
    MetricInfo,
    metric_base,
    metric_info,
    metric_key,
    metric_keys,
    minimum_samples,
)
from genbench.metrics.evaluation import Features, evaluate_draws, evaluate_features, wanted_keys
from genbench.metrics.frechet import fd, fd_infinity, feature_statistics, frechet_distance
from genbench.metrics.kernel import kid
from genbench.metrics.neighbours import memorised, nearest, precision_recall_density_coverage
from genbench.metrics.object_accuracy import ObjectCounts, count_objects, object_accuracy, wilson_interval
from genbench.metrics.paired import psnr
from genbench.metrics.scores import class_histogram, classifier_confidence, inception_score

__all__ = [
    "MANIFOLDS",
    "METRICS",
    "EvaluationOptions",
    "Features",
    "MetricInfo",
    "MetricWarning",
    "ObjectCounts",
    "class_histogram",
    "classifier_confidence",
    "count_objects",
    "evaluate_draws",
    "evaluate_features",
    "fd",
    "fd_infinity",
    "feature_statistics",
    "frechet_distance",
    "inception_score",
    "kid",
    "memorised",
    "metric_base",
    "metric_info",
    "metric_key",
    "metric_keys",
    "minimum_samples",
    "nearest",
    "object_accuracy",
    "precision_recall_density_coverage",
    "psnr",
    "wanted_keys",
    "wilson_interval",
]
