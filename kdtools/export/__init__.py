"""Networks for other programs and for speed: ONNX (graph), in several precisions, checked against the original."""

FLOAT32, FLOAT16, INT8 = PRECISIONS = ("float32", "float16", "int8")
