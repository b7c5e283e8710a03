"""What a step minimises: the loss of labelled faces, and that of unlabelled ones with Tough's answer as the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdtools.model.heads import heatmap_confidence
from kdtools.model.network import LandmarkNet
from kdtools.model.sampling import resized
from kdtools.training.conventions import layers_of_model
from kdtools.training.loader import Batch
from kdtools.training.losses import LossWeights, heat_term, loss_terms
from kdtools.training.settings import Settings
from kdtools.training.task import Task
from kdtools.training.trust import agreement_trust, mirrored_points


@dataclass(frozen=True)
class Answers:
    """What the teachers say of a step's faces: points (b, L, 2) by teacher, of labelled and of unlabelled faces.

    `trust` (b, L) is the weight of each point of the unlabelled faces; None counts all alike.
    """

    labelled: dict[str, Tensor]
    unlabelled: dict[str, Tensor]
    trust: Tensor | None = None


class Objective:
    """Loss terms of a step, by the settings and teachers of a task."""

    def __init__(self, task: Task, settings: Settings, device: torch.device) -> None:
        self._settings, self._online = settings, task.online
        self._weights = LossWeights(settings.w_main, settings.w_tough, settings.w_tolerant)
        self._layers_of = {name: layers_of_model(task.learnt, teacher.card) for name, teacher in task.online.items()}
        mirror = task.scheme.mirror
        self._mirror = None if mirror is None else torch.tensor(mirror, device=device)

    @torch.no_grad()
    def ask_teachers(self, batch: Batch) -> Answers:
        """Points of the teachers: those that came with the faces, and those of networks, which see the images."""
        n_labelled = len(batch.images) - batch.n_unlabelled
        answers = Answers({name: p for name, p in batch.points.items() if name != "truth"}, dict(batch.unlabelled))
        first = 0 if self._settings.teaches_labelled else n_labelled  # the first face that teachers are asked about
        confidence = batch.confidence
        for name, teacher in self._online.items() if first < len(batch.images) else ():
            images = resized(batch.images[first:] if first else batch.images, teacher.card.input_size)
            layers = batch.layers if batch.layers is None else batch.layers[first:]
            points, heatmaps = teacher.points_and_heatmaps(images, self._layers_of[name](layers))
            if self._settings.teaches_labelled:
                answers.labelled[name] = points[:n_labelled]
            answers.unlabelled[name] = points[n_labelled - first :]
            if name == "tough" and heatmaps is not None and self._settings.trust == "confidence":
                confidence = heatmap_confidence(heatmaps[n_labelled - first :])
        if not batch.n_unlabelled or self._settings.trust == "none":
            return answers
        trust = self._trust(batch, answers.unlabelled, confidence)
        return Answers(answers.labelled, answers.unlabelled, trust)

    def _trust(self, batch: Batch, points: dict[str, Tensor], confidence: Tensor | None) -> Tensor | None:
        """Weights (b, L) of Tough's points of unlabelled faces."""
        scale = self._settings.trust_scale
        if self._settings.trust == "agreement":
            return agreement_trust(points["tough"], points["tolerant"], scale)
        if self._settings.trust == "views" and self._mirror is not None:
            tough: LandmarkNet = self._online["tough"]
            first = len(batch.images) - batch.n_unlabelled
            images = resized(batch.images[first:].flip(3), tough.card.input_size)
            mirrored = tough(images, self._layers_of["tough"](None if batch.layers is None else batch.layers[first:]))
            return agreement_trust(points["tough"], mirrored_points(mirrored, self._mirror), scale)
        return confidence

    def terms(self, pred: Tensor, heatmaps: Tensor | None, batch: Batch, answers: Answers) -> dict[str, Tensor]:
        """Named terms and their `total`; pred (b, L, 2) and heatmaps (b, L, h, w) are the student's for all faces."""
        n_labelled = len(pred) - batch.n_unlabelled
        settings = self._settings
        if not settings.unlabelled_share:
            return self._terms(pred, heatmaps, batch.points["truth"], answers.labelled)
        terms: dict[str, Tensor] = {}
        if settings.unlabelled_share < 1:
            own_maps = None if heatmaps is None else heatmaps[:n_labelled]
            terms = self._terms(pred[:n_labelled], own_maps, batch.points["truth"], answers.labelled)
        own_maps = None if heatmaps is None else heatmaps[n_labelled:]
        points, trust = answers.unlabelled, answers.trust
        terms["unlabelled"] = self._terms(pred[n_labelled:], own_maps, points["tough"], points, trust)["total"]
        term = settings.w_unlabelled * terms["unlabelled"]
        terms["total"] = terms["total"] + term if "total" in terms else term
        if trust is not None:
            terms["trust"] = trust.mean() if len(trust) else trust.new_ones(())
        return terms

    def _terms(
        self,
        pred: Tensor,
        heatmaps: Tensor | None,
        truth: Tensor,
        teachers: dict[str, Tensor],
        trust: Tensor | None = None,
    ) -> dict[str, Tensor]:
        settings = self._settings
        terms = loss_terms(settings.loss, pred, truth, teachers, settings.variant, self._weights, trust)
        if settings.w_heat and heatmaps is not None:
            terms["heat"] = heat_term(heatmaps, truth, teachers, settings.loss, self._weights, trust)
            terms["total"] = terms["total"] + settings.w_heat * terms["heat"]
        return terms
