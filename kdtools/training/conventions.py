"""The annotation conventions of a training: which there are, and by which of them each face is learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kdtools.errors import DataError, UsageError
from kdtools.faces.conventions import join_conventions
from kdtools.faces.file import FacesFile
from kdtools.faces.ids import match_ids
from kdtools.landmarks.conventions import Convention, are_apart, layer_among, rule_of
from kdtools.model.card import ModelCard, rules_of
from kdtools.reporting import Reporter, counted
from kdtools.training.face_set import FaceSet

LEAST_OF_SET = 100  # faces; its own layer was worse than the rule's with 8 and better with 695, the rest is unmeasured


@dataclass(frozen=True)
class LearntConventions:
    """`all` conventions of the faces to train on, sorted by name. A network has a last layer for each of `layers`.

    These are the rules, and beside them `sets`, names of single sets of a rule that more than one convention follows.
    `default` is the layer by which faces of no convention are learnt, and all are answered unless another is asked for.
    """

    all: tuple[Convention, ...] = ()
    default: str = ""
    sets: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(sorted({*rules_of(self.all), *self.sets}))

    @staticmethod
    def of_faces(
        faces: FacesFile, rows: np.ndarray, asked: str, reporter: Reporter, *, learns_labels: bool = True
    ) -> LearntConventions:
        """Those of the faces in `rows`; the default is the one `asked` for, with `auto` that of most faces.

        A set needs LEAST_OF_SET faces for a last layer of its own, and labels to learn it from (`learns_labels`).
        Raises UsageError, which lists the known ones, for another one that is asked for.
        """
        stated = faces.conventions
        of_rows = stated.of_faces[rows]
        counts = np.bincount(of_rows[of_rows >= 0], minlength=len(stated.all)).tolist()
        learnt = [(one, count) for one, count in zip(stated.all, counts, strict=True) if count]
        by_rule = Counter[str]()
        for one, count in learnt:
            by_rule[one.rule] += count
        known = sorted({*by_rule, *(one.name for one, _ in learnt)})
        if asked != "auto" and asked not in known:
            raise _unknown(asked, known, faces.name)
        if not learnt:
            return LearntConventions()
        n_of_rule = Counter(one.rule for one, _ in learnt)
        large = [one for one, n in learnt if one.name != one.rule and n >= LEAST_OF_SET and learns_labels]
        sets = [one.name for one in large if n_of_rule[one.rule] > 1]
        most = max(sorted(by_rule), key=lambda rule: by_rule[rule])
        found = LearntConventions(tuple(one for one, _ in learnt), most, tuple(sets))
        if asked != "auto":
            found = replace(found, default=layer_among(asked, found.layers) or asked)
        for one, count in learnt:
            x, y = one.offset
            origin = f", whose origin of {x:g}, {y:g} px is taken off" if x or y else ""
            reporter.say(f"annotation convention {one.name}: {counted(count, 'face')}{origin}")
        words = []
        if len(found.layers) > 1:
            words.append(f"the network answers by {found.default}, unless --convention asks for another one")
        if n_unstated := int((of_rows < 0).sum()):
            words.append(f"{counted(n_unstated, 'face')} without a convention are learnt as {found.default}")
        if words:
            reporter.say("; ".join(words))
        return found

    def numbers(self, faces: FacesFile, rows: np.ndarray, reporter: Reporter) -> Tensor | None:
        """The last layer of each face of a file (N,) int64, an index of `layers`; None where there are none.

        Faces without a convention have the default. So have those of one that is not learnt, with a warning where they
        are in `rows`.
        """
        layers = self.layers
        if not layers:
            return None
        stated = faces.conventions
        for number, one in enumerate(stated.all):
            count = int((stated.of_faces[rows] == number).sum())
            if count and layer_among(one.name, layers) is None:
                reporter.warn(
                    f"{counted(count, 'face')} of {faces.name} are of the annotation convention {one.name}, which is "
                    f"not trained, and are taken for {self.default}"
                )
        return torch.from_numpy(_numbers(faces, layers, self.default))

    def numbers_of_rules(self) -> Tensor | None:
        """For each of `layers` that of its rule, (C,) int64: a face of a set is learnt by both; None where none is."""
        return torch.tensor([self.layers.index(rule_of(layer)) for layer in self.layers]) if self.sets else None

    def warn_of_unstated(self, faces: FacesFile, reporter: Reporter) -> None:
        """Warn of faces to validate with that state no convention, whose origin is not known either."""
        n_unstated = int((faces.conventions.of_faces < 0).sum())
        if self.all and n_unstated:
            reporter.warn(
                f"{counted(n_unstated, 'face')} of {faces.name} state no annotation convention, and are measured by "
                f"{self.default}, at the places of their labels; kd-merge --convention states one"
            )

    def numbers_of_unlabelled(
        self, faces: FacesFile, tough: FacesFile | ModelCard, reporter: Reporter
    ) -> Tensor | None:
        """As `numbers`, for all faces of a file whose points are the answers of the teacher `tough`.

        Faces of no convention, or of one that is not learnt, are learnt by the one that the teacher answers them by. So
        are those of a set, if the teacher's answers are of the same rule. Warns of faces whose convention is another
        one than that of their points.
        """
        layers = self.layers
        if not layers:
            return None
        own = faces.conventions.names_of_faces()
        if isinstance(tough, FacesFile):
            answered = _answered_by(tough)[match_ids(faces.ids, tough.ids, faces.name, tough.name)].tolist()
        else:
            answered = [self._asked_of(tough, name) for name in own]
        n_faces = Counter(zip(own, answered, strict=True))  # few pairs, of which each is looked at once
        learnt = {pair: self._learnt_as(*pair) for pair in n_faces}
        if isinstance(tough, FacesFile):
            if "" in answered:
                self.warn_of_silent_teacher(tough.name, reporter)
            others = (n for (one, its), n in n_faces.items() if its and are_apart(learnt[one, its], its))
            _warn_of_others(sum(others), tough.name, reporter)
        of_points = Counter[str]()
        for pair, n in n_faces.items():
            if layer_among(pair[0], layers) is None:
                of_points[learnt[pair]] += n
        for layer in sorted(of_points.keys() - {self.default}):
            words = f"{counted(of_points[layer], 'face')} of {faces.name} are learnt as {layer}"
            reporter.say(f"{words}, the annotation convention of their points")
        return torch.tensor([layers.index(learnt[pair]) for pair in zip(own, answered, strict=True)])

    def _asked_of(self, tough: ModelCard, name: str) -> str:
        """By which of its layers a model answers a face of the convention called `name`."""
        return tough.layer_of(layer_among(name, self.layers) or self.default)

    def _learnt_as(self, own: str, answered: str) -> str:
        """The layer by which a face of the convention `own` is learnt, of points of the convention `answered`."""
        of_face, of_points = layer_among(own, self.layers), layer_among(answered, self.layers)
        if of_face is None:
            return of_points or self.default
        return of_points if of_points is not None and rule_of(own) == rule_of(answered) else of_face

    def warn_of_silent_teacher(self, name: str, reporter: Reporter) -> None:
        """Warn of a teacher that does not say whose places its points are, if it could be more than one."""
        if len(self.layers) > 1:
            reporter.warn(
                f"{name}: states no annotation convention, and each of its points is taken for a place of the face's "
                f"own, be it {' or '.join(self.layers)}"
            )


def _unknown(asked: str, known: list[str], whose: str) -> UsageError:
    if not known:
        hint = "leave out --convention; kd-import --convention NAME writes the convention of the faces"
        return UsageError(f"{whose}: no face to train on states an annotation convention", hint)
    hint = f"give one of {', '.join(known)}"
    return UsageError(f"{whose}: no face to train on is of the annotation convention {asked!r}", hint)


def layers_of_model(learnt: LearntConventions, card: ModelCard) -> Callable[[Tensor | None], Tensor | None]:
    """From last layers (B,) as `learnt` to those of a model for the same conventions.

    A model that does not know a set answers by its rule, and of another rule by its default. None where it answers all
    faces by that.
    """
    layers = card.layers
    if len(layers) < 2:
        return lambda learnt_as: None
    table = torch.tensor([layers.index(card.layer_of(name)) for name in learnt.layers])
    return lambda learnt_as: None if learnt_as is None else table.to(learnt_as.device)[learnt_as]


def check_targets(faces: FacesFile, targets: FacesFile) -> None:
    """Raises DataError where the targets in another file are labels of other conventions or origins than the faces'.

    They would be learnt by another last layer than their own, or beside the true places. Targets that state none, such
    as Soft-landmarks of an earlier version, are taken for those of the faces.
    """
    check_same_origins(faces, targets)
    if targets.role == "predicted" or "convention" not in targets:
        return
    rows = match_ids(faces.ids, targets.ids, faces.name, targets.name)
    own, theirs = (np.array(one.conventions.names_of_faces()) for one in (faces, targets))
    other = np.flatnonzero(own != theirs[rows])
    if len(other):
        names = [str(name) or "none" for name in (own[other[0]], theirs[rows][other[0]])]
        raise DataError(
            f"{faces.name} and {targets.name}: {counted(len(other), 'face')} of other annotation conventions, such as "
            f"{names[0]} in one, {names[1]} in the other",
            "make the targets again from these faces, with kd-asm",
        )


def layers_without_faces(learnt: LearntConventions, faces: FaceSet) -> list[str]:
    """Names of the last layers that none of these faces is learnt by."""
    if faces.layers is None:
        return []
    own = faces.layers[torch.from_numpy(faces.rows)]
    known = set(own.tolist()) | (set() if faces.rules is None else set(faces.rules[own].tolist()))
    return [name for number, name in enumerate(learnt.layers) if number not in known]


def layers_of_rows(faces: FacesFile, rows: np.ndarray, card: ModelCard, device: torch.device) -> Tensor | None:
    """By which last layer of a model each face in `rows` is answered, (n,): its own, or else the model's default."""
    if len(card.layers) < 2:
        return None
    return torch.from_numpy(_numbers(faces, card.layers, card.convention)[rows]).to(device)


def _numbers(faces: FacesFile, layers: tuple[str, ...], default: str) -> np.ndarray:
    """Index in `layers` of each face's layer, (N,) int64; that of `default` where it states none or another one."""
    names = [layer_among(one.name, layers) or default for one in faces.conventions.all]
    return np.array([layers.index(name) for name in (*names, default)])[faces.conventions.of_faces]  # -1 is the last


def true_points_from(faces: FacesFile, other: FacesFile) -> np.ndarray:
    """As `faces.landmarks_from(other)`, at the true places: with the origin taken off that `other` states.

    Points that were made from labels, such as Soft-landmarks, lie where the labels do: of a file that states no
    conventions they have the origins of `faces`.
    """
    points = faces.landmarks_from(other)
    if other.role != "predicted" and "convention" not in other:
        return np.asarray(points - faces.origins("image")[:, None], np.float32)
    origins = other.origins("source")
    if not origins.any():
        return points
    rows, order = match_ids(faces.ids, other.ids, faces.name, other.name), faces.order_of_points(other)
    return np.asarray(faces.from_source(other.true_points("source")[rows][:, order]), np.float32)


def compare_predictions(
    learnt: LearntConventions, faces: FacesFile, rows: np.ndarray, other: FacesFile, reporter: Reporter
) -> None:
    """Warn where the points that `other` predicts for the faces in `rows` are of another convention than these are."""
    if not learnt.all:
        return
    theirs = _answered_by(other)[match_ids(faces.ids, other.ids, faces.name, other.name)][rows]
    if (theirs == "").any():
        learnt.warn_of_silent_teacher(other.name, reporter)
    n_faces = Counter(zip(np.array(faces.conventions.names_of_faces())[rows].tolist(), theirs.tolist(), strict=True))
    others = (n for (own, its), n in n_faces.items() if its and are_apart(own or learnt.default, its))
    _warn_of_others(sum(others), other.name, reporter)


def _warn_of_others(n_faces: int, name: str, reporter: Reporter) -> None:
    if n_faces:
        reporter.warn(
            f"{name}: its points of {counted(n_faces, 'face')} follow another annotation convention than those "
            "faces do; a teacher given as a model answers each face by its own"
        )


def _answered_by(predictions: FacesFile) -> np.ndarray:
    """Name of the convention by which each face was predicted, (N,) of text; '' where the file does not say."""
    if "convention" in predictions:
        return np.array(predictions.conventions.names_of_faces())
    put_back = predictions.put_back
    return np.full(len(predictions), "" if put_back is None else put_back.name)


def check_same_origins(*files: FacesFile) -> None:
    """Raises DataError, which names both files, where one convention of their labels has two origins.

    One set would be learnt at the true places and the other as it is annotated. Predictions lie at places of their own.
    """
    labels = [one for one in files if "landmarks" in one and one.role != "predicted"]
    join_conventions([(one.name, one.conventions) for one in labels])


def compare_teacher(learnt: LearntConventions, card: ModelCard, name: str, reporter: Reporter) -> None:
    """Warn of conventions that a model as a teacher does not know."""
    if not card.conventions:
        learnt.warn_of_silent_teacher(name, reporter)
    unknown = [layer for layer in learnt.layers if layer_among(layer, card.layers) is None]
    if card.conventions and unknown:
        words = ", ".join(unknown)
        reporter.warn(
            f"{name}: does not know the annotation convention {words}, and answers such faces by {card.convention}"
        )


def rule_names(faces: FacesFile, unstated: str) -> np.ndarray:
    """Name of the rule of each face, (N,) of text; `unstated` where it states no convention."""
    return np.array([*(one.rule for one in faces.conventions.all), unstated])[faces.conventions.of_faces]
