"""From inputs of any kind and number to a faces file of predictions, and to pictures of them. Loads no torch."""

from kdtools.prediction.faces import open_crops, predict_faces, predict_faces_file
from kdtools.prediction.groups import parse_shard
from kdtools.prediction.photographs import Search, predict_photographs
from kdtools.prediction.pipeline import Run
from kdtools.prediction.sameness import is_finished
from kdtools.prediction.timing import Timing

__all__ = [
    "Run",
    "Search",
    "Timing",
    "is_finished",
    "open_crops",
    "parse_shard",
    "predict_faces",
    "predict_faces_file",
    "predict_photographs",
]
