"""A training's input: which formats and input modes the built-in algorithm knows, and a reader for each of them."""
