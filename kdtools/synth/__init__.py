"""Synthetic annotated faces: procedurally generated, shaded 3-D heads with exact positions of the 68 iBUG/300-W points.

`head` makes shape, pose and points, `paint` renders the head, `scene` adds background, occluders and camera effects.
A point behind the nose, the hair, dark glasses or an object has visible = 0 and its exact position.
"""

from kdtools.synth.scene import Face, draw_face, draw_faces

__all__ = ["Face", "draw_face", "draw_faces"]
