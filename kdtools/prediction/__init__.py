"""From inputs of any kind and number to a faces file of predictions, and to pictures of them. Loads no torch."""
