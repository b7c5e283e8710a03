"""The tools by task, with what each is for: for `kdtools` and for man kdtools."""

from __future__ import annotations

TASKS = {
    "prepare": {
        "kd-import": "read annotated images and write a faces file",
        "kd-synth": "draw annotated faces",
        "kd-split": "split a faces file so that nobody is in two parts",
        "kd-merge": "join faces files, or take a part of one",
        "kd-origin": "estimate the offset of labels from the true places",
    },
    "train": {
        "kd-student": "train a small network, with teachers or without",
        "kd-asm": "fit a shape model to landmarks and smooth them with it",
        "kd-teacher": "train a teacher network on hard or soft landmarks",
    },
    "predict": {
        "kd-predict": "predict landmarks in faces, images and videos with a trained model",
        "kd-export": "write a trained model as ONNX or TensorFlow Lite",
    },
    "measure": {
        "kd-eval": "measure predicted landmarks against ground truth",
    },
    "look": {
        "kd-view": "draw faces with their landmarks",
        "kd-info": "describe a file and check whether it is valid",
        "kd-dump": "write landmarks as text",
        "kdtools": "list the tools; report what works on this machine",
    },
}
PURPOSES = {tool: purpose for tools in TASKS.values() for tool, purpose in tools.items()}
