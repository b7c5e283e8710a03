"""kdtools: small facial-landmark networks by knowledge distillation from two teachers."""

__version__ = "0.1.0"
