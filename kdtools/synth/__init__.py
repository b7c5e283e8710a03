"""Draw annotated faces: shaded 3-D heads with the exact 68 iBUG/300-W points, made from numbers alone.

`head` is the shape, the pose and the points, `paint` what the head looks like, `scene` all around it and the image.
A point behind the nose, the hair, dark glasses or an object has visible = 0 and keeps its exact place.
"""

from kdtools.synth.scene import Face, draw_face, draw_faces

__all__ = ["Face", "draw_face", "draw_faces"]
