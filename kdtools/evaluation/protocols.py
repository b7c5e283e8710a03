"""Evaluation protocols of data sets and papers: normalisers, thresholds, subsets and kind of AUC, with sources.

docs/metrics.md names the file of published code behind every fact, and says which code could not be read.
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
    """Normalisers, thresholds and subsets of an evaluation.

    `normalisers` are names that `kdtools.metrics.normaliser_named` takes, the main one first; `thresholds` are
    fractions of the normaliser; `subsets` are reported in this order if the truth has them; `binned_step`, also a
    fraction, is the step at which the CED is integrated by Simpson's rule (None: only the exact area).
    """

    normalisers: tuple[str, ...]
    thresholds: tuple[float, ...]
    subsets: tuple[str, ...] = (ALL_FACES,)
    binned_step: float | None = None


@dataclass(frozen=True)
class Protocol:
    """A published way of measuring, which makes results comparable.

    `by_scheme` maps the name of a scheme to its measures. `default` applies to all other schemes; it is None for a
    paper, which defines nothing for schemes that it did not use. `source` is one line for reports; `note` says what
    differs from the source.
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
    """The protocol of a name in any case. Raises UsageError that lists the names.

    >>> protocol_named("WFLW").title
    'WFLW (Wu et al., CVPR 2018)'
    """
    protocol = PROTOCOLS.get(text.strip().lower())
    if protocol is None:
        raise UsageError(f"unknown protocol {text!r}", f"give one of {', '.join(PROTOCOLS)}")
    return protocol


def resolve(protocol: Protocol, scheme: Scheme, *, has_boxes: bool) -> Measures:
    """What the protocol measures on faces of this scheme; `has_boxes` says whether the truth has annotated boxes.

    A data set's protocol takes any scheme with the points of its main normaliser, as WFLW is measured with 68 points
    too; a paper's takes only the schemes that the paper used. Further normalisers that the scheme does not allow are
    left out. Raises UsageError if the protocol does not fit the scheme, DataError if it needs boxes that are missing.

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
            f"the protocol {protocol.name} does not cover the scheme {scheme.name}",
            f"it covers {', '.join(protocol.by_scheme)}; or give --norm and --thresholds without --protocol",
        )
    main, *others = measures.normalisers
    allowed = {GIVEN_BOX, *(normaliser.name for normaliser in normalisers_of(scheme))}
    if main == GIVEN_BOX and not has_boxes:
        raise DataError(
            f"the protocol {protocol.name} divides by the annotated box, and the truth has none",
            "import it with --no-images, which keeps its boxes, or give --norm box-size without --protocol",
        )
    if main not in allowed:
        raise UsageError(
            f"the protocol {protocol.name} divides by {main}, for which the scheme {scheme.name} names no points",
            "give --norm and --thresholds without --protocol",
        )
    return replace(measures, normalisers=(main, *(name for name in others if name in allowed)))
