"""How --help presents a tool: options in groups, the rarer ones only with --help-all, and two examples."""

from __future__ import annotations

from typing import Any

from kdtools.cli._choices import plain_record

# Groups in their order, with the names of parameters; a tool before a name where tools differ.
GROUPS = {
    "Input": "truth truth_path landmarks model_path tough tolerant unlabelled val val_share listed include format_name "
    "formats base images categories exif terms ids_from calibrate mean_shape join allow_missing "
    "allow_extra video follow",
    "Output": "output force rest draw plot plot_modes json_form tsv_form value details pixels digits no_header crops "
    "aligned head_pose no_images virtual check size width columns lines error_bars numbers labels legend each log_dir "
    "precision verify compare_precisions kd-dump.format_name kd-dump.formats",
    "Faces": "detector min_score search_size max_faces require_face refine margin subset ids exclude add_subset prefix "
    "n_faces random sort reverse worst group share by_subset folds",
    "Points": "scheme_name convert role convention origin flip smooth variance clip align",
    "Measuring": "norm protocol thresholds visible_only by compare group_models jitter max_nme requirements "
    "kd-eval.subset kd-eval.group",
    "Training": "preset show_settings assignments loss variant arch input_size epochs batch lr schedule augmentation "
    "init amp kd-teacher.folds",
    "Running": "device backend kd-predict.batch jobs resume shard bench seed bundled quiet verbose version help "
    "help_all",
}
_GROUP_OF = {name: title for title, names in GROUPS.items() for name in names.split()}

# Options that only --help-all lists, in tools with more than about twenty.
MORE = {
    "kd-eval": "visible_only join allow_extra jitter video categories tsv_form requirements",
    "kd-import": "search_size base exif role convention origin terms add_subset",
    "kd-predict": "search_size refine convention bench backend shard",
    "kd-student": "variant schedule amp log_dir val_share convention lr batch augmentation",
    "kd-teacher": "schedule amp log_dir val_share convention lr batch augmentation",
    "kd-view": "random seed reverse columns numbers labels",
}

# Options of the training tools whose default is the preset's.
BY_PRESET = frozenset(
    ("loss", "variant", "arch", "input_size", "epochs", "batch", "lr", "schedule", "augmentation", "init")
    + ("val_share", "amp", "seed")
)

EXAMPLES = {
    "kd-asm": ("kd-asm train.h5 -o soft.h5", "kd-asm train.h5 --variance 0.95 -o soft.h5 --plot-modes modes.svg"),
    "kd-dump": ("kd-dump pred.h5 -o points.csv", "kd-dump pred.h5 --format pts -o points/"),
    "kd-eval": ("kd-eval pred.h5 --truth test.h5", "kd-eval l1.h5 kd.h5 --truth test.h5 --compare -o report.html"),
    "kd-export": (
        "kd-export student.safetensors -o student.onnx",
        "kd-export face68 --precision int8 --calibrate train.h5 -o face68-int8.onnx",
    ),
    "kd-import": ("kd-import photos/train -o train.h5", "kd-import photos/ --detector finder -o crops.h5"),
    "kd-info": ("kd-info train.h5", "kd-info a.h5 b.h5 --value faces"),
    "kd-merge": ("kd-merge a.h5 b.h5 -o all.h5", "kd-merge all.h5 --ids 'ibug/*' -o ibug.h5"),
    "kd-origin": ("kd-origin train.h5 flipped.h5", "kd-origin train.h5 flipped.h5 -o stated.h5"),
    "kd-predict": (
        "kd-predict face68 photos/ -o points.csv",
        "kd-predict student.safetensors test.h5 -o pred.h5",
    ),
    "kd-split": (
        "kd-split faces.h5 --share 0.8 -o train.h5 --rest test.h5",
        "kd-split faces.h5 --folds 5 -o folds/",
    ),
    "kd-student": (
        "kd-student train.h5 --preset best -o student.safetensors",
        "kd-student train.h5 --tough tough.h5 --tolerant soft.h5 -o kd.safetensors",
    ),
    "kd-synth": ("kd-synth -n 600 -o faces.h5", "kd-synth -n 40 --size 112 --seed 2 -o test.h5"),
    "kd-teacher": (
        "kd-teacher train.h5 -o tough.safetensors",
        "kd-teacher train.h5 --landmarks soft.h5 -o tolerant.safetensors",
    ),
    "kd-view": ("kd-view test.h5 pred.h5 -o sheet.png", "kd-view test.h5 pred.h5 --worst 40 -o worst.png"),
    "kdtools": ("kdtools", "kdtools doctor"),
}
_ALL = "kdtools.help_all"


def group_of(tool: str, name: str) -> str:
    """The group of a tool's option, by the name of its parameter. Raises KeyError for one without, as a test checks."""
    return _GROUP_OF.get(f"{tool}.{name}") or _GROUP_OF[name]


def show_all(context: Any) -> str:
    """The help with all options."""
    context.meta[_ALL] = True
    text: str = context.get_help()
    return text


def write_options(command: Any, tool: str, context: Any, formatter: Any) -> None:
    """Arguments, options by group, the number of those left out, and the examples."""
    hidden = set() if context.meta.get(_ALL) else set(MORE.get(tool, "").split())
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{title: [] for title in GROUPS}}
    n_hidden = 0
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            sections["Arguments"].append(plain_record(*record))
        elif parameter.name in hidden:
            n_hidden += 1
        else:
            sections[group_of(tool, parameter.name)].append(plain_record(*record))
    for title, rows in sections.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows, col_max=27)
    if n_hidden:
        formatter.write_paragraph()
        formatter.write_text(f"{n_hidden} more options: {tool} --help-all")
    with formatter.section("Examples"):
        for line in EXAMPLES[tool]:
            formatter.write_text(line)
