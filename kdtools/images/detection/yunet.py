"""YuNet, a small network that also finds rotated and small faces, run by OpenCV from a model file of the user's.

Files are face_detection_yunet_*.onnx of OpenCV's model zoo (Wu et al., Machine Intelligence Research 2023), which is
also where `public_model` fetches one.
"""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from kdtools.errors import FileError, KdError, reason_of
from kdtools.images.detection.detector import ReducedSearch, check_min_score, largest_first
from kdtools.images.detection.scales import MOST_CANDIDATES, search_at_scales
from kdtools.images.opencv import opencv_errors
from kdtools.landmarks.boxes import corners_of
from kdtools.landmarks.crop_rule import BoxRelation
from kdtools.storage.cache import private_folder
from kdtools.storage.onnx_guard import read_onnx
from kdtools.storage.provenance import sha256_of

PUBLIC_NAME = "face_detection_yunet_2023mar.onnx"
PUBLIC_URL = (
    "https://github.com/opencv/opencv_zoo/raw/82b38c8f98e7b52aa171400f3e4c722352d0669f/models/face_detection_yunet/"
    + PUBLIC_NAME
)
PUBLIC_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_SIDE = 1024  # px; larger photographs are reduced before the search
_LARGEST_FACE = 320  # px; larger ones are placed worse, or found in parts
_SMALLEST_SIDE = 32  # px; below, the network has no grid cells
_SMALLEST_FACE = 10  # px, on which the network was trained
MIN_SCORE = 0.6  # by default
_OVERLAP = 0.3  # of two boxes that overlap by more, the better one stays


def public_model() -> str:
    """Path of OpenCV's public YuNet file in the user's cache, fetched once and compared with its SHA-256 each time.

    Raises FileError if it cannot be fetched or kept, or is another file than expected.
    """
    import pooch
    from requests.exceptions import ConnectionError as NoConnection

    pooch.get_logger().setLevel("WARNING")
    try:
        return str(pooch.retrieve(PUBLIC_URL, f"sha256:{PUBLIC_SHA256}", PUBLIC_NAME, private_folder()))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError is another SHA-256
        no_connection = f"there is no connection to {urlsplit(PUBLIC_URL).hostname}"
        raise FileError(
            f"YuNet cannot be fetched: {no_connection if isinstance(error, NoConnection) else reason_of(error)}",
            f"fetch it on another machine, from {PUBLIC_URL}, and name the file: --detector {PUBLIC_NAME}",
        ) from error


class YuNetDetector(ReducedSearch):
    """Finds turned, small and covered faces, by the model file at `path`, of which the products keep the `record`."""

    name = "yunet"
    # Medians over annotated photographs; benchmarks/detectors.py measures them again.
    relation = BoxRelation(0.0, 0.134, 0.79)

    def __init__(
        self, path: str, min_score: float = MIN_SCORE, search_size: int | None = None, *, is_public: bool = False
    ) -> None:
        """`is_public`: the file is that of `public_model`, wherever it lies.

        Raises FileError for a file that is no such network, UsageError for a `min_score` that is none.
        """
        check_min_score(min_score, self.name, 1.0)
        if not Path(path).is_file():
            raise FileError(f"{path}: no such file", "name a YuNet model; --detector yunet fetches the public one")
        record = {"sha256": sha256_of(path), "min_score": min_score}
        record = record if is_public else {"file": path, **record}
        super().__init__((_SIDE, _SIDE), search_size, _SMALLEST_FACE, record)
        self._path, self._min_score, self._local = path, min_score, threading.local()
        try:  # now, rather than at the first photograph
            read_onnx(path)  # OpenCV would read other files that it names
            self._find(np.zeros((64, 64, 3), np.uint8), 1.0)
        except KdError as error:
            raise FileError(
                f"{path}: not a YuNet face detector that OpenCV can run: {error.message.removeprefix(f'{path}: ')}",
                "use face_detection_yunet_2023mar.onnx of OpenCV's model zoo; files of dynamic shape do not work",
            ) from error

    def _find(self, image: np.ndarray, ratio: float) -> list[tuple[np.ndarray, float]]:
        longest, largest = max(image.shape[:2]), _LARGEST_FACE / ratio
        with opencv_errors("faces cannot be searched"):
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            boxes, scores = search_at_scales(
                lambda scale: self._search(bgr, ratio * scale), longest, largest, self._min_score, MIN_SCORE
            )
        return largest_first(boxes, scores)

    def _search(self, bgr: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4), in pixels of the image, and scores (N,) of the faces in the image when scaled."""
        height, width = (max(1, round(side * ratio)) for side in bgr.shape[:2])
        rows = None
        if min(height, width) >= _SMALLEST_SIDE:
            small = bgr
            if (height, width) != bgr.shape[:2]:
                small = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA)
            network = self._network(max(width, height))
            network.setInputSize((width, height))
            _, rows = network.detect(small)
        rows = np.empty((0, 15)) if rows is None else np.asarray(rows, np.float64)
        scale = np.array([bgr.shape[1] / width, bgr.shape[0] / height])
        boxes = corners_of(rows[:, :4], "x y width height") * np.tile(scale, 2)
        sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return boxes[sound], rows[sound, -1]

    def _network(self, side: int) -> cv2.FaceDetectorYN:
        """A detector holds its last input, so each thread has its own, one for each scale: a new size costs time."""
        if not hasattr(self._local, "networks"):
            self._local.networks = {}
        networks: dict[int, cv2.FaceDetectorYN] = self._local.networks
        scale = side.bit_length()
        if scale not in networks:
            networks[scale] = cv2.FaceDetectorYN.create(
                self._path, "", (320, 320), min(self._min_score, MIN_SCORE), _OVERLAP, MOST_CANDIDATES
            )
        return networks[scale]
