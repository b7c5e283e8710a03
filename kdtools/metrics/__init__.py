"""Errors of predicted landmarks: normalised mean error (NME) of each face, and statistics over many faces.

Errors are fractions of the normaliser (0.05 is 5 %); only `summarise` gives percent. An NME of inf is a face whose
prediction lacks a point, which counts as a failure at every threshold; an NME of NaN is a face that cannot be
measured, which no statistic counts.
"""

from kdtools.metrics.errors import (
    acceleration_per_face,
    clean_points,
    jitter_per_face,
    mean_distance,
    nme_per_face,
    normalise,
    outward,
    point_distances,
    signed_normal_errors,
    worst_rows,
)
from kdtools.metrics.intervals import compare_paired, mean_interval, share_interval
from kdtools.metrics.methods import compare_methods, method_interval, method_share_interval
from kdtools.metrics.normalisers import (
    GIVEN_BOX,
    NORMALISERS,
    Normaliser,
    default_normaliser,
    measure_words,
    normaliser_named,
    normalisers_of,
    point_bounds,
)
from kdtools.metrics.summary import (
    area_under_binned_ced,
    area_under_ced,
    failure_rate,
    summarise,
    threshold_label,
)

__all__ = [
    "GIVEN_BOX",
    "NORMALISERS",
    "Normaliser",
    "acceleration_per_face",
    "area_under_binned_ced",
    "area_under_ced",
    "clean_points",
    "compare_methods",
    "compare_paired",
    "default_normaliser",
    "failure_rate",
    "jitter_per_face",
    "mean_distance",
    "mean_interval",
    "measure_words",
    "method_interval",
    "method_share_interval",
    "nme_per_face",
    "normalise",
    "normaliser_named",
    "normalisers_of",
    "outward",
    "point_bounds",
    "point_distances",
    "share_interval",
    "signed_normal_errors",
    "summarise",
    "threshold_label",
    "worst_rows",
]
