"""The metrics: arrays of features in, numbers out. No network and no torch here.

A metric compares the features of real and of generated images, or uses the logits that a classifier gives to the
generated ones. Every function takes the real set first. The name FID is reserved for Inception features: the same
distance in any other feature space is a Frechet distance, FD, named after the extractor of the features.

Each metric is one file, with its maths and its entry: fid.py, kid.py, precision_recall.py, memorisation.py,
inception_score.py, classifier_scores.py, object_accuracy.py. METRICS contains all entries by name.
"""

from genbench.metrics.checks import MetricWarning
from genbench.metrics.classifier_scores import class_histogram, classifier_confidence
from genbench.metrics.collection import built_in, extractor_of, load_metric, metric_info, metric_keys, minimum_samples
from genbench.metrics.evaluation import (
    deal_out,
    evaluate_against,
    evaluate_draws,
    evaluate_features,
    know_reference,
    over_draws,
    possible_against,
    wanted_metrics,
)
from genbench.metrics.fid import fd, fd_infinity, feature_statistics, frechet_distance, frechet_key
from genbench.metrics.inception_score import inception_score
from genbench.metrics.kid import kid
from genbench.metrics.memorisation import memorised, nearest
from genbench.metrics.metric import Features, Inputs, Known, Metric, MetricInfo, Reference, Statistics, Value
from genbench.metrics.object_accuracy import ObjectCounts, count_objects, object_accuracy, wilson_interval
from genbench.metrics.options import EvaluationOptions, idle_options
from genbench.metrics.paired import psnr
from genbench.metrics.precision_recall import precision_recall_density_coverage

METRICS = built_in()

__all__ = [
    "METRICS",
    "EvaluationOptions",
    "Features",
    "Inputs",
    "Known",
    "Metric",
    "MetricInfo",
    "MetricWarning",
    "ObjectCounts",
    "Reference",
    "Statistics",
    "Value",
    "class_histogram",
    "classifier_confidence",
    "count_objects",
    "deal_out",
    "evaluate_against",
    "evaluate_draws",
    "evaluate_features",
    "extractor_of",
    "fd",
    "fd_infinity",
    "feature_statistics",
    "frechet_distance",
    "frechet_key",
    "idle_options",
    "inception_score",
    "kid",
    "know_reference",
    "load_metric",
    "memorised",
    "metric_info",
    "metric_keys",
    "minimum_samples",
    "nearest",
    "object_accuracy",
    "over_draws",
    "possible_against",
    "precision_recall_density_coverage",
    "psnr",
    "wanted_metrics",
    "wilson_interval",
]
