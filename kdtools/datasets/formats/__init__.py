"""Data-set formats: one small module each, found by name or by a look at the input.

What they share lies in shared/: `annotation` and `format` say what a reader yields and a format is; `text_lists`,
`tables` and `csv_columns` read text and JSON, which `listing` finds, `matlab`, `hdf5` and `pandas_hdf5` binary files;
`naming_300w` and `id_prefixes` name pictures, and `image_beside` finds that of an annotation file of its own.
"""

from __future__ import annotations

from pathlib import Path

from kdtools.datasets.formats import (
    adnet,
    aflw2000,
    asf,
    catflw,
    celeba,
    coco,
    cofw,
    cofw68,
    csv300w,
    csv_points,
    cvat,
    deeplabcut,
    dlib_xml,
    ffhq,
    helen,
    hrnet,
    image_folder,
    insightface,
    jsonl,
    kaggle,
    labelme,
    labelstudio,
    lapa,
    list300w,
    ljson,
    mediapipe,
    mtfl,
    muct,
    numpy_points,
    openface,
    openpose,
    pfld,
    pts,
    retinaface,
    sleap,
    spiga,
    torchlm,
    tps,
    tsv_points,
    via,
    w300lp,
    wflw,
    yolo,
)
from kdtools.datasets.formats.shared.annotation import Annotation, FaceBlock, Reading
from kdtools.datasets.formats.shared.format import Format
from kdtools.datasets.formats.shared.listing import listed_once
from kdtools.datasets.formats.shared.looks_like import what_it_looks_like
from kdtools.errors import FileError, UsageError

# In the order in which `auto` asks them: the more a format demands of its input, the earlier it stands.
_MODULES = (
    *(muct, pts, asf, ljson),
    *(cofw, cofw68, aflw2000, w300lp, sleap, deeplabcut),
    *(coco, spiga, ffhq, catflw, dlib_xml, jsonl),
    *(cvat, labelstudio, labelme, via, tps),
    *(lapa, helen, retinaface, celeba, mtfl, pfld, yolo),
    *(wflw, list300w, torchlm),
    *(openface, openpose, mediapipe, insightface, numpy_points, kaggle),
    *(hrnet, csv300w, adnet, tsv_points, csv_points),
    image_folder,
)
FORMATS = {module.FORMAT.name: module.FORMAT for module in _MODULES}


def find_format(name: str, source: Path) -> Format:
    """The format of that name, or with `auto` the first that accepts the source.

    Raises UsageError for an unknown name, FileError for a source that is absent or that no format accepts.
    """
    if name != "auto" and name not in FORMATS:
        raise UsageError(f"there is no format {name!r}", f"give auto or one of {', '.join(FORMATS)}")
    if not source.exists():
        raise FileError(f"{source}: no such file or directory")
    candidates = FORMATS.values() if name == "auto" else [FORMATS[name]]
    with listed_once():
        for form in candidates:
            if form.accepts(source) or (name != "auto" and form.accepts_named and form.accepts_named(source)):
                return form
    looks, hint = what_it_looks_like(source)
    seems = f": it looks like {looks}" if looks else ""
    wanted = "no format knows it" if name == "auto" else f"not what the format {name} reads"
    raise FileError(f"{source}: {wanted}{seems}", hint or "kd-import --formats lists what each format looks like")


__all__ = ["FORMATS", "Annotation", "FaceBlock", "Format", "Reading", "find_format"]
