"""Validation of a network in training, and of the mean shape, which a network that has learnt something beats."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kdtools.errors import DataError
from kdtools.landmarks import Scheme
from kdtools.metrics import clean_points, default_normaliser, nme_per_face
from kdtools.model.inference import predict_units
from kdtools.model.network import LandmarkNet
from kdtools.training.distributed import own_part, sum_over_processes
from kdtools.training.face_set import FaceSet


def validate(network: LandmarkNet, val: FaceSet, scheme: Scheme, device: torch.device, batch: int) -> tuple[float, str]:
    """Mean NME in percent over the validation faces, shared between processes, and the name of its normaliser."""
    network.eval()
    truth, size, length, kind = _truth_of(val, scheme)
    own = own_part(np.arange(len(val)))
    layers = val.layers_of(own, device)
    pred = predict_units(network, val.images, val.rows[own], layers=layers, device=device, batch=batch)
    nme = nme_per_face(truth[own], pred * size, length[own])
    known = ~np.isnan(nme)
    sums = torch.tensor([nme[known].sum(), known.sum()], dtype=torch.float64, device=device)
    total, count = sum_over_processes(sums).tolist()
    return 100 * total / count, kind


def _truth_of(val: FaceSet, scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Truth (N, L, 2) in pixels of the images, their width and height, and the normaliser (N,) with its name.

    Raises DataError if no face can be measured.
    """
    size = np.array(val.images.shape[2:0:-1])
    truth = val.points["truth"][torch.from_numpy(val.rows)].numpy() * size
    known = clean_points(truth)
    normaliser = default_normaliser(scheme, known)
    length = normaliser.lengths(known)
    if not (length > 0).any():
        raise DataError("no validation face can be measured", "their points are missing or coincide")
    return truth, size, length, normaliser.name


def mean_shape(faces: FaceSet) -> Tensor:
    """Mean points (L, 2) of the faces; a point that is never annotated is put at the centre."""
    return faces.points["truth"][torch.from_numpy(faces.rows)].nanmean(dim=0).nan_to_num()


def nme_of_mean_shape(train: FaceSet, val: FaceSet, scheme: Scheme) -> float:
    """Mean NME in percent over the validation faces of predicting the mean shape of the faces to train on for each.

    Raises DataError if no face can be measured; called early, before hours of training.
    """
    truth, size, length, _ = _truth_of(val, scheme)
    same = np.broadcast_to(mean_shape(train).numpy() * size, truth.shape)
    return float(100 * np.nanmean(nme_per_face(truth, same, length)))
