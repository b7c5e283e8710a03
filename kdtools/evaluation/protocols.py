"""How data sets and papers measure: normalisers, thresholds, subsets and the way of the AUC, each with its source.

docs/metrics.md says of every fact in which file of which code it was read, and which could not be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kdtools.errors import DataError, UsageError
from kdtools.faces.selection import ALL_FACES
from kdtools.landmarks import Scheme
from kdtools.metrics import GIVEN_BOX, normalisers_of


@dataclass(frozen=True)
class Measures:
    """What is measured on one set of points.

    `normalisers` are names that `kdtools.metrics.normaliser_named` takes, the main one first; `thresholds` are shares
    of the normaliser; `subsets` are those to report where the truth has them, in this order; `binned_step` is the
    step, a share too, at which the code integrates the CED by Simpson's rule (None: only the exact area).
    """

    normalisers: tuple[str, ...]
    thresholds: tuple[float, ...]
    subsets: tuple[str, ...] = (ALL_FACES,)
    binned_step: float | None = None


@dataclass(frozen=True)
class Protocol:
    """A way of measuring that others can be compared by.

    `by_scheme` maps the name of a scheme to its measures. `default` holds for all other schemes; it is None for a
    paper, which has said nothing of points that it did not use. `source` is one line for reports, to stand behind
    the name; `note` says what differs from the source all the same.
    """

    name: str
    title: str
    source: str
    note: str
    default: Measures | None = None
    by_scheme: Mapping[str, Measures] = field(default_factory=dict)


_300W = Measures(
    ("inter-ocular", "inter-pupil"), (0.08, 0.10), (ALL_FACES, "common", "challenging", "test", "indoor", "outdoor")
)
_WFLW = Measures(
    ("inter-ocular",),
    (0.10,),
    (ALL_FACES, "largepose", "expression", "illumination", "makeup", "occlusion", "blur"),
)
_COFW = Measures(("inter-ocular", "inter-pupil"), (0.10,))
_AFLW = Measures((GIVEN_BOX,), (0.07, 0.08), (ALL_FACES, "frontal"))

_ALL = (
    Protocol(
        "300w",
        "300W (Sagonas et al. 2013, 2016)",
        "outer eye corners, as MenpoBenchmark's compute_eye_corner_error.m; FR at 8 and 10 % as in HRNet",
        "Older papers often divide by the distance of the eyes' centres, which is inter-pupil here.",
        default=_300W,
    ),
    Protocol(
        "wflw",
        "WFLW (Wu et al., CVPR 2018)",
        "outer eye corners 60 and 72 as in HRNet, MMPose and STAR; FR and AUC at 10 % as in STAR; six subsets",
        "The evaluation code of the data set's authors (LAB) could not be read.",
        default=_WFLW,
    ),
    Protocol(
        "cofw",
        "COFW (Burgos-Artizzu et al., ICCV 2013)",
        "outer eye corners 8 and 9 as in HRNet, MMPose and PIPNet; pupils 16 and 17 as in ADNet and STAR; 10 %",
        "Inter-pupil errors are about 1.44 times the inter-ocular ones. With 68 points: box-size at 7 %, as in SPIGA.",
        default=_COFW,
        by_scheme={"ibug68": Measures(("box-size", "inter-ocular"), (0.07, 0.08))},
    ),
    Protocol(
        "aflw19",
        "AFLW-19 (Zhu et al., CVPR 2016)",
        "root of the area of AFLW's own face box, AUC at 7 and 8 %, as in SAN (aflw_from_mat.py)",
        "The truth must hold AFLW's own boxes; the bbox of MMPose's JSON is another, tighter one.",
        default=_AFLW,
    ),
    Protocol(
        "spiga",
        "SPIGA (Prados-Torreblanca et al., BMVC 2022)",
        "corners at 8 % (300W) and 10 % (WFLW), lnd_bbox at 7 % (300W private, COFW-68, MERL-RAV): db_info.json",
        "SPIGA takes the CED from a histogram of 10,000 bins: AUCs are within 0.02 points of the exact ones here.",
        by_scheme={
            "ibug68": replace(_300W, normalisers=("inter-ocular", "box-size", "inter-pupil"), thresholds=(0.08, 0.07)),
            "wflw98": replace(_WFLW, normalisers=("inter-ocular", "inter-pupil"), thresholds=(0.10, 0.08)),
        },
    ),
    Protocol(
        "star",
        "STAR (Zhou et al., CVPR 2023), as ADNet (Huang et al., ICCV 2021)",
        "outer eye corners (300W, WFLW), pupils (COFW); FR and AUC at 5 % (300W), 10 %: lib/metric and conf",
        "auc_binned is STAR's. At 5 % its last sample lies at 5.01 %, which makes its AUC 0.2 points larger.",
        by_scheme={
            "ibug68": replace(_300W, thresholds=(0.05,), binned_step=0.0001),
            "wflw98": replace(_WFLW, normalisers=("inter-ocular", "inter-pupil"), binned_step=0.0001),
            "cofw29": replace(_COFW, normalisers=("inter-pupil", "inter-ocular"), binned_step=0.0001),
        },
    ),
    Protocol(
        "pipnet",
        "PIPNet (Jin et al., IJCV 2021)",
        "outer eye corners (300W, WFLW, COFW), the side of the face box (AFLW): lib/test.py, NME alone",
        "FR and AUC at 10 % are added here. PIPNet measures in crops stretched to squares; here it is in the image.",
        by_scheme={
            "ibug68": replace(_300W, normalisers=("inter-ocular",), thresholds=(0.10,)),
            "wflw98": _WFLW,
            "cofw29": replace(_COFW, normalisers=("inter-ocular",)),
            "aflw19": replace(_AFLW, thresholds=(0.10,), subsets=(ALL_FACES,)),
        },
    ),
    Protocol(
        "kdloss",
        "KD-Loss (Fard and Mahoor, CVIU 2022)",
        "inter-ocular NME (as listed for the paper); FR at 10 % as in the first author's FLG_Net/test.py",
        "The paper's evaluation code is not public. FLG_Net's takes the pupils for WFLW, so inter-pupil is given too.",
        by_scheme={
            "ibug68": replace(_300W, normalisers=("inter-ocular",), thresholds=(0.10,)),
            "wflw98": replace(_WFLW, normalisers=("inter-ocular", "inter-pupil")),
            "cofw29": replace(_COFW, normalisers=("inter-ocular",)),
        },
    ),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def protocol_named(text: str) -> Protocol:
    """The protocol of that name, in capitals or not. Raises UsageError that lists the names.

    >>> protocol_named("WFLW").title
    'WFLW (Wu et al., CVPR 2018)'
    """
    protocol = PROTOCOLS.get(text.strip().lower())
    if protocol is None:
        raise UsageError(f"unknown protocol {text!r}", f"give one of {', '.join(PROTOCOLS)}")
    return protocol


def resolve(protocol: Protocol, scheme: Scheme, *, has_boxes: bool) -> Measures:
    """What the protocol measures on faces of this scheme; `has_boxes` tells whether the truth comes with boxes.

    A data set's protocol takes any scheme whose points its main normaliser can do with, as WFLW is
    measured with 68 points too; a paper's takes only the schemes that the paper used. Of the normalisers after the
    main one, those that the scheme does not allow are left out.
    Raises UsageError where the protocol does not fit the scheme, DataError where it needs boxes that are not there.

    >>> from kdtools.landmarks import SCHEMES
    >>> star = PROTOCOLS["star"]
    >>> [resolve(star, SCHEMES[name], has_boxes=False).normalisers[0] for name in ("ibug68", "wflw98", "cofw29")]
    ['inter-ocular', 'inter-ocular', 'inter-pupil']
    >>> [resolve(star, SCHEMES[name], has_boxes=False).thresholds for name in ("ibug68", "wflw98", "cofw29")]
    [(0.05,), (0.1,), (0.1,)]
    """
    measures = protocol.by_scheme.get(scheme.name, protocol.default)
    if measures is None:
        raise UsageError(
            f"the protocol {protocol.name} says nothing of the scheme {scheme.name}",
            f"it knows {', '.join(protocol.by_scheme)}; or say --norm and --thresholds without --protocol",
        )
    main, *others = measures.normalisers
    allowed = {GIVEN_BOX, *(normaliser.name for normaliser in normalisers_of(scheme))}
    if main == GIVEN_BOX and not has_boxes:
        raise DataError(
            f"the protocol {protocol.name} divides by the box that the annotation comes with, and the truth has none",
            "import it with --no-images, which keeps its boxes, or say --norm box-size without --protocol",
        )
    if main not in allowed:
        raise UsageError(
            f"the protocol {protocol.name} divides by {main}, for which the scheme {scheme.name} names no points",
            "say --norm and --thresholds without --protocol",
        )
    return replace(measures, normalisers=(main, *(name for name in others if name in allowed)))
