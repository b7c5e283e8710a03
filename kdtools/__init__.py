"""kdtools: small facial-landmark networks by knowledge distillation from two teachers.

A command (cli/) calls one or two parts of the library, each of which says in its first lines what is where in it: for
instance importing/, training, prediction/, evaluation/ with reports/. They share the faces file (files/), points
(schemes/, geometry, metrics/) and images (images, detect/). docs/design.md, section 5, has the layers.
"""

__version__ = "0.1.0"
