"""The values of a report by key, such as `fr@0.08_percent`: their headings, meanings, short names and formats."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from kdtools.errors import UsageError
from kdtools.evaluation.results import Row, Values

Value = int | float | None
VERDICT = "verdict"  # better, worse or unclear: the last column of a comparison
UNMEASURED = "\N{EN DASH}"  # for people, in place of a value that could not be measured

# Name without threshold and unit -> heading, and meaning as a legend gives it.
_NAMES = {
    "n": ("faces", "faces counted"),
    "n_groups": ("groups", "groups of faces, such as those of one person, that count as one in intervals and tests"),
    "n_models": ("models", "models of the method, such as those of several seeds; values are their means"),
    "missing": ("missing", "faces without a complete prediction, counted as failures"),
    "unmeasured": ("unmeasured", "faces that cannot be measured and are not counted"),
    "nme": ("NME", "normalised mean error: mean distance of the points over the normaliser, mean over the faces"),
    "models_sd": ("sd of models", "standard deviation of the models' NME, each over all faces"),
    "nme_true": (
        "NME at true places",
        "the same with origins taken off: of the labels' annotation conventions, and where predictions were given one",
    ),
    "nme_found": ("NME found", "NME of the faces that have a complete prediction"),
    "p50": ("p50", "median of the faces' errors"),
    "p90": ("p90", "90 % of the faces have at most this error"),
    "p95": ("p95", "95 % of the faces have at most this error"),
    "p99": ("p99", "99 % of the faces have at most this error"),
    "fr": ("FR", "failure rate: share of faces with an error above the threshold"),
    "auc": ("AUC", "exact area under the cumulative error curve up to the threshold, over the threshold"),
    "auc_binned": ("AUC binned", "the same area by Simpson's rule over sampled errors, as some papers compute it"),
    "jitter": ("jitter", "movement of the error from frame to frame of a video"),
    "bias_x": ("bias x", "mean error to the right in the image"),
    "bias_y": ("bias y", "mean error downwards in the image"),
    "normal": ("normal", "mean error along the outline's normal, outward positive"),
    "spread": ("spread", "standard deviation of the distance"),
    "nme_of_mean_shape": ("of mean shape", "NME as a share of the NME of always predicting the mean shape"),
    "n_compared": ("faces compared", "faces compared: measured, and predicted by both"),
    "difference": (
        "NME difference",
        "NME minus the baseline's, in percentage points, of the faces that both predict",
    ),
    "relative": ("relative", "the difference divided by the baseline's NME"),
    "p_bootstrap": ("p bootstrap", "paired bootstrap: probability of a difference this large by chance alone"),
    "p_wilcoxon": ("p Wilcoxon", "the same by Wilcoxon's signed-rank test, on the signs and ranks of the differences"),
    "improved": (
        "better on",
        "share of all faces measured in both with a smaller error than the baseline's",
    ),
    VERDICT: ("verdict", "by the interval; on the line, left of the middle is better than the baseline"),
}
COMPARISON = (
    "difference_percent",
    "difference_low_percent",
    "difference_high_percent",
    "relative_percent",
    "improved_percent",
    "p_bootstrap",
    "p_wilcoxon",
    "n_compared",
)
_COUNTS = ("n", "n_groups", "n_models", "missing", "unmeasured", "n_compared")
_ENDS = {f"{name}_{end}" for name in ("nme", "nme_true", "fr", "auc", "difference") for end in ("low", "high")}
BASES = (_NAMES.keys() | _ENDS) - {VERDICT}  # names of all values, without thresholds
_WITH_THRESHOLD = {name for name in BASES if name.split("_")[0] in ("fr", "auc")}
_ABSENT = {"missing": 0, "unmeasured": 0}  # left out of a row where they are 0
_KEY = re.compile(r"(?P<base>[a-z_0-9]+?)(?:@(?P<threshold>[^_]+))?(?P<percent>_percent)?")


def parts_of(key: str) -> tuple[str, str]:
    """`fr@0.08_percent` -> `fr`, `0.08`; `nme_percent` -> `nme` and nothing."""
    match = _KEY.fullmatch(key)
    return (match["base"], match["threshold"] or "") if match else (key, "")


def heading_of(key: str) -> str:
    base, threshold = parts_of(key)
    heading = _NAMES[base][0] if base in _NAMES else base
    return f"{heading}@{threshold}" if threshold else heading


def meaning_of(key: str) -> str:
    """What a legend says of a value; nothing for an unknown key."""
    return _NAMES.get(parts_of(key)[0], ("", ""))[1]


def keys_of(rows: Iterable[Row]) -> list[str]:
    """Keys of all rows, in their order; a key that only some rows have keeps its place among their keys."""
    keys: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        own = tuple(row.values)
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
    """The key for a user's short name, such as `nme`, `fr@.08` or `p99`. Raises UsageError if no key matches.

    Where faces are not `grouped` each is a group of its own, and n_groups is n.

    >>> find_key(["n", "nme_percent", "fr@0.08_percent"], "fr@.08")
    'fr@0.08_percent'
    """
    name = name.strip()
    if name == "n_groups" and not grouped and "n" in keys:
        name = "n"
    base, threshold = parts_of(name)
    for key in keys:
        own_base, own_threshold = parts_of(key)
        if own_base == base and _is_same_number(own_threshold, threshold):
            return key
    if name in _ABSENT:
        return name
    check_threshold(name)
    raise UsageError(f"there is no value {name!r}", f"give one of {', '.join(short_name(key) for key in keys)}")


def check_threshold(name: str) -> None:
    """Raises UsageError for a failure rate or AUC without its threshold, and for any other value with one."""
    base, threshold = parts_of(name)
    if base in _WITH_THRESHOLD and not threshold:
        raise UsageError(f"which {base} is meant?", f"give {base} with its threshold, such as {base}@0.08")
    if threshold and base in BASES - _WITH_THRESHOLD:
        raise UsageError(f"which {base} is meant?", f"give {base} without a threshold")


def short_name(key: str) -> str:
    """What a user types: `nme` for `nme_percent`."""
    return key.removesuffix("_percent")


def value_of(values: Values, key: str) -> Value:
    """The value for a key that the row `has`; 0 for a count that rows leave out where it is 0."""
    return values[key] if key in values else _ABSENT[key]


def has(values: Values, key: str) -> bool:
    return key in values or key in _ABSENT


def format_plain(key: str, value: Value) -> str:
    """For programs: six decimals, or six significant digits for a p value, which may be tiny; empty for None."""
    if value is None:
        return ""
    if key in _COUNTS:
        return str(value)
    return f"{value:.6g}" if key.startswith("p_") else f"{value:.6f}"


def format_value(key: str, value: Value) -> str:
    """For people: two decimals, a dash for what could not be measured, p values as papers print them."""
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
        return f"{value:{sign}z.1f} %"
    if key.startswith(("difference", "bias_", "normal")):
        return f"{value:+z.2f}"
    return f"{value:.2f}"


def interval_of(values: Values, key: str) -> tuple[float, float] | None:
    """Both ends of the 95 % interval of a value; None where it has none."""
    base, threshold = parts_of(key)
    at = f"@{threshold}" if threshold else ""
    low, high = (values.get(f"{base}_{end}{at}_percent") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def format_interval(values: Values, key: str) -> str:
    ends = interval_of(values, key)
    return "" if ends is None else f"[{format_value(key, ends[0])}, {format_value(key, ends[1])}]"


def is_interval_end(key: str) -> bool:
    """Whether a key is an end of an interval, which is shown with its value."""
    return parts_of(key)[0].endswith(("_low", "_high"))


def _is_same_number(one: str, other: str) -> bool:
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False
