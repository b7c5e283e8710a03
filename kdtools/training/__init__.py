"""Training: its settings, data, losses and loop, for teachers and students alike."""
