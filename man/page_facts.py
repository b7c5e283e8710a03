"""What the manual pages say that --help does not: ways to call a tool, its place in a workflow, known limits.

Synopses are written as a user reads them: an option and its VALUE, [what may be left out]; small words are typed as
they are.
"""

from __future__ import annotations

SYNOPSES = {
    "kd-asm": ("[options] FACES -o FILE", "[options] --shape-model FILE FACES -o FILE"),
    "kd-dump": ("[options] FACES [-o FILE]", "[options] --crops DIR FACES -o FILE", "--formats"),
    "kd-eval": (
        "[options] --truth FILE PRED ...",
        "[options] --truth FILE --compare PRED PRED ...",
        "[options] --truth FILE --compare --group-models NAME=PRED ...",
        "[options] --truth FILE --max-nme PERCENT PRED ...",
        "[options] --jitter PRED ...",
    ),
    "kd-export": (
        "[options] MODEL -o FILE",
        "[options] --precision int8 --calibrate FILE MODEL -o FILE",
        "--compare-precisions --verify FILE [--calibrate FILE] MODEL",
    ),
    "kd-import": ("[options] SOURCE ... -o FILE", "--formats"),
    "kd-info": (
        "[--json] [--no-inputs] FILE ...",
        "--value NAME FILE ...",
        "--check [--json] FILE ...",
        "--bundled",
    ),
    "kd-merge": ("[options] FACES ... -o FILE", "[options] --virtual FACES ... -o FILE"),
    "kd-origin": ("[options] FACES PRED", "[options] [--convention NAME] FACES PRED -o FILE"),
    "kd-predict": (
        "[options] MODEL INPUT ... [-o FILE]",
        "[options] --list MODEL INPUT ... [-o FILE]",
        "[options] --shard K/N [--resume] MODEL INPUT ... -o FILE",
    ),
    "kd-split": (
        "[options] [--share SHARE] FACES -o FILE --rest FILE",
        "[options] --by-subset NAME FACES -o FILE --rest FILE",
        "[options] --folds K FACES -o FILE",
    ),
    "kd-student": (
        "[options] --tough FILE --tolerant FILE FACES -o FILE",
        "[options] --preset best FACES -o FILE",
        "[options] --loss NAME [--tough FILE] [--tolerant FILE] FACES -o FILE",
        "[options] --unlabelled FILE --tough FILE FACES -o FILE",
        "--show-settings [--preset NAME] [--set NAME=VALUE]",
    ),
    "kd-synth": ("[-n N] [--size PX] [--margin SHARE] [--seed N] [-j N] [-f] -o FILE",),
    "kd-teacher": (
        "[options] FACES -o FILE",
        "[options] --landmarks FILE FACES -o FILE",
        "[options] --folds K FACES -o FILE",
        "--show-settings [--preset NAME] [--set NAME=VALUE]",
    ),
    "kd-view": ("[options] FACES [PREDICTIONS ...] -o FILE", "[options] --each FACES [PREDICTIONS ...] -o FILE"),
    "kdtools": ("[doctor]", "COMMAND ..."),
}

# Pages whose products a tool reads; pages that read its product; pages for the same purpose.
WORKFLOW = {
    "kd-asm": ("kd-import kd-split kd-synth", "kd-teacher", "kd-view"),
    "kd-dump": ("kd-import kd-predict", "kd-import", "kd-info kd-view"),
    "kd-eval": ("kd-predict kd-import", "", "kd-view kd-info"),
    "kd-export": ("kd-student kd-teacher", "kd-predict", "kd-info"),
    "kd-import": ("kd-dump", "kd-split kd-merge kd-asm kd-student kd-teacher", "kd-synth kd-view kd-info"),
    "kd-info": ("", "", "kd-dump kd-view"),
    "kd-merge": ("kd-import kd-predict", "kd-student kd-teacher kd-eval", "kd-split kd-info"),
    "kd-origin": ("kd-import kd-predict", "kd-student kd-teacher kd-eval", "kd-info kd-merge"),
    "kd-predict": (
        "kd-student kd-teacher kd-export kd-import",
        "kd-eval kd-dump kd-view kd-student",
        "kd-merge kd-info",
    ),
    "kd-split": ("kd-import kd-merge kd-synth", "kd-asm kd-student kd-teacher", "kd-info"),
    "kd-student": ("kd-import kd-split kd-teacher kd-predict", "kd-predict kd-export", "kd-eval kd-info"),
    "kd-synth": ("", "kd-split kd-asm kd-student kd-teacher kd-view", "kd-import"),
    "kd-teacher": ("kd-import kd-asm kd-split", "kd-predict kd-student", "kd-eval kd-info"),
    "kd-view": ("kd-import kd-predict", "", "kd-dump kd-eval"),
    "kdtools": ("", "", "kd-info"),
    "kd-hdf5": ("kd-import kd-synth kd-predict", "", "kd-info kd-dump kd-merge"),
}
BUGS = {
    "kd-export": "Speed and accuracy of exports were measured on CPUs only.",
    "kd-import": "A photograph is decoded as a whole, which takes 3 bytes per pixel in each worker.",
    "kd-predict": (
        "A photograph is decoded as a whole, which takes 3 bytes per pixel in each worker. "
        "The finder makes about one false detection in five photographs; --min-score 0.65 drops nearly all of these, "
        "and some faces."
    ),
    "kd-student": "Training on GPUs has not been measured.",
    "kd-teacher": "Training on GPUs has not been measured.",
    "kdtools.7": "macOS has not been tried, and the tools do not start on Windows.",
}
REPORTING = (
    "Report a bug as an issue, with the command line, its full output with -v, and the output of kdtools doctor."
)
