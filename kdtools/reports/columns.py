"""Names of figures, how a figure is written, which of several is the best: what all forms of a report share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from kdtools.errors import UsageError
from kdtools.evaluation.results import Figures, Row
from kdtools.reporting import printable

Value = int | float | None
VERDICT = "verdict"  # better, worse or unclear: no number, the last column of a comparison
UNMEASURED = "\N{EN DASH}"  # stands, for people, for what could not be measured

# What each figure is, in the words of a report's legend. Those with a threshold are named without it.
MEANINGS = {
    "n": "faces counted",
    "n_groups": "groups of faces, such as people, that count as one when chance is estimated",
    "missing": "faces without a complete prediction, counted as failures",
    "unmeasured": "faces that cannot be measured and are not counted",
    "nme_percent": "normalised mean error: mean distance of the points over the normaliser, mean over the faces",
    "nme_low_percent": "lower end of the 95 % interval of the NME",
    "nme_high_percent": "upper end of the 95 % interval of the NME",
    "nme_found_percent": "NME of the faces that have a complete prediction",
    "p50": "median of the faces' errors",
    "p90": "90 % of the faces have at most this error",
    "p95": "95 % of the faces have at most this error",
    "p99": "99 % of the faces have at most this error",
    "fr": "failure rate: share of faces with an error above the threshold",
    "fr_low": "lower end of the 95 % interval of the failure rate",
    "fr_high": "upper end of the 95 % interval of the failure rate",
    "auc": "exact area under the cumulative error curve up to the threshold, over the threshold",
    "auc_low": "lower end of the 95 % interval of the AUC",
    "auc_high": "upper end of the 95 % interval of the AUC",
    "auc_binned": "the same area by Simpson's rule over sampled errors, as some papers compute it",
    "jitter_percent": "movement of the error from frame to frame of a video",
    "bias_x_percent": "mean error to the right in the image",
    "bias_y_percent": "mean error downwards in the image",
    "normal_percent": "mean error along the outline's normal, outward positive",
    "spread_percent": "standard deviation of the distance",
    "nme_of_mean_shape_percent": "NME as a share of that of the mean shape, the guess without looking",
    "n_compared": "faces that the difference is of: measured, and predicted by both",
    "difference_percent": "NME minus the baseline's, in points of percent, of the faces that both predict",
    "difference_low_percent": "lower end of the 95 % interval of the difference",
    "difference_high_percent": "upper end of the 95 % interval of the difference",
    "relative_percent": "the difference over the baseline's NME",
    "p_bootstrap": "paired bootstrap: probability of so large a difference by chance alone",
    "p_wilcoxon": "the same by Wilcoxon's signed-rank test, which asks for the sign of most differences",
    "improved_percent": "share of all faces measured in both whose error is smaller than the baseline's, "
    "a missing prediction being the worst",
    VERDICT: "by the interval; on the line, left of the middle is better than the baseline",
}
COMPARISON = (
    "n_compared",
    "difference_percent",
    "difference_low_percent",
    "difference_high_percent",
    "relative_percent",
    "p_bootstrap",
    "p_wilcoxon",
    "improved_percent",
)
_HEADINGS = {
    "n": "faces",
    "n_groups": "groups",
    "nme": "NME",
    "nme_found": "NME found",
    "fr": "FR",
    "auc": "AUC",
    "auc_binned": "AUC binned",
    "bias_x": "bias x",
    "bias_y": "bias y",
    "nme_of_mean_shape": "of mean shape",
    "n_compared": "faces compared",
    "difference": "NME difference",
    "improved": "better on",
    "p_bootstrap": "p bootstrap",
    "p_wilcoxon": "p Wilcoxon",
}
_COUNTS = ("n", "n_groups", "missing", "unmeasured", "n_compared")
BASES = frozenset(key.removesuffix("_percent") for key in MEANINGS) - {VERDICT}  # names without a threshold
_WITH_THRESHOLD = frozenset(name for name in BASES if name.split("_")[0] in ("fr", "auc"))
_ABSENT = {"missing": 0, "unmeasured": 0}  # these stand in a row only where there are any
_KEY = re.compile(r"(?P<base>[a-z_0-9]+?)(?:@(?P<threshold>[^_]+))?(?P<percent>_percent)?")


def parts_of(key: str) -> tuple[str, str]:
    """`fr@0.08_percent` -> `fr`, `0.08`; `nme_percent` -> `nme` and nothing."""
    match = _KEY.fullmatch(key)
    return (match["base"], match["threshold"] or "") if match else (key, "")


def heading_of(key: str) -> str:
    base, threshold = parts_of(key)
    heading = _HEADINGS.get(base, base)
    return f"{heading}@{threshold}" if threshold else heading


def meaning_of(key: str) -> str:
    return MEANINGS.get(key, MEANINGS.get(parts_of(key)[0], ""))


def keys_of(rows: Iterable[Row]) -> list[str]:
    """Names of all figures; one that only some rows have stands where it stands among their figures."""
    keys: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        own = tuple(row.figures)
        if own in seen:
            continue
        seen.add(own)
        place = 0
        for key in own:
            if key in keys:
                place = keys.index(key) + 1
            else:
                keys.insert(place, key)
                place += 1
    return keys


def find_key(keys: Sequence[str], name: str, *, grouped: bool = True) -> str:
    """The figure that a user's short name means: `nme`, `fr@.08`, `p99`. Raises UsageError where it is not there.

    Where faces are not `grouped` each is a group of its own, so that n_groups is n.

    >>> find_key(["n", "nme_percent", "fr@0.08_percent"], "fr@.08")
    'fr@0.08_percent'
    """
    name = name.strip()
    if name == "n_groups" and not grouped and "n" in keys:
        name = "n"
    base, threshold = parts_of(name)
    for key in keys:
        own_base, own_threshold = parts_of(key)
        same = own_threshold == threshold or (own_threshold and _number_of(own_threshold) == _number_of(threshold))
        if own_base == base and same:
            return key
    if name in _ABSENT:
        return name
    check_threshold(name)
    raise UsageError(f"there is no figure {name!r}", f"give one of {', '.join(short_name(key) for key in keys)}")


def check_threshold(name: str) -> None:
    """Raises UsageError for a failure rate or an AUC without its threshold, and for another figure with one."""
    base, threshold = parts_of(name)
    if base in _WITH_THRESHOLD and not threshold:
        raise UsageError(f"which {base} is meant?", f"give {base} with its threshold, such as {base}@0.08")
    if threshold and base in BASES - _WITH_THRESHOLD:
        raise UsageError(f"which {base} is meant?", f"give {base} without a threshold")


def short_name(key: str) -> str:
    """What a user types for a figure: `nme_percent` is `nme`."""
    return key.removesuffix("_percent")


def value_of(figures: Figures, key: str) -> Value:
    """A figure of a row that has it, or one that is left out where it is 0."""
    return figures[key] if key in figures else _ABSENT[key]


def has(figures: Figures, key: str) -> bool:
    return key in figures or key in _ABSENT


def plain_number(key: str, value: Value) -> str:
    """For other programs: six decimals, or six digits of a p value, which may be tiny; empty for None."""
    if value is None:
        return ""
    if key in _COUNTS:
        return str(value)
    return f"{value:.6g}" if key.startswith("p_") else f"{value:.6f}"


def written(key: str, value: Value) -> str:
    """For people: two decimals, a dash for what could not be measured, p values as papers give them."""
    if value is None:
        return UNMEASURED
    if math.isinf(value):
        return "inf"
    if key in _COUNTS:
        return str(value)
    if key.startswith("p_"):
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if key == "nme_of_mean_shape_percent":
        return f"{value:.0f} %"
    if key in ("improved_percent", "relative_percent"):
        sign = "+" if key == "relative_percent" else ""
        return f"{value:{sign}.1f} %"
    if key.startswith(("difference", "bias_", "normal")):
        return f"{value:+.2f}"
    return f"{value:.2f}"


def interval_of(figures: Figures, key: str) -> tuple[float, float] | None:
    """Both ends of a figure's interval; None where it has none."""
    base, threshold = parts_of(key)
    at = f"@{threshold}" if threshold else ""
    low, high = (figures.get(f"{base}_{end}{at}_percent") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def written_interval(figures: Figures, key: str) -> str:
    ends = interval_of(figures, key)
    return "" if ends is None else f"[{written(key, ends[0])}, {written(key, ends[1])}]"


def is_end(key: str) -> bool:
    """Whether a figure is an end of another's interval, which is shown with that one."""
    return parts_of(key)[0].endswith(("_low", "_high"))


def clean(text: str) -> str:
    """A name in one line and in valid Unicode: file names may hold any character, and bytes that are none."""
    return printable(text.encode("utf-8", "backslashreplace").decode())


def _number_of(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
