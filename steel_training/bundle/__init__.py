"""The published bundle: a self-contained SavedModel, the Keras model, LiteRT files, and golden samples that verify them.

The SavedModel takes image files as bytes (PNG, JPEG, BMP; grey or RGB; up to `MAX_SIDE` pixels per side) and returns score,
label, threshold and version. It is verified in a process that has TensorFlow but not this package.

- `layout`: names of the files in a bundle.
- `export`, `decoding`: the SavedModel, from image bytes to a decision.
- `lite`: the LiteRT files, and their comparison with the Keras model.
- `golden`: samples with the scores that every exported model must reproduce.
- `verify`, `replay`: scores the golden samples again, in a separate process.
- `card`: the model card.
"""
