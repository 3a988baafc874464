"""What is published: a SavedModel that needs nothing of us, the Keras model, LiteRT files, and what shows that all are one.

The SavedModel takes image files as bytes (PNG, JPEG, BMP; grey or RGB; any size up to `MAX_SIDE` a side) and answers with
score, label, threshold and version. It is verified in a process that has TensorFlow and not this package.

- `layout`: names of the files in a bundle.
- `export`, `decoding`: the SavedModel, from image bytes to a decision.
- `lite`: the LiteRT files, and whether they decide alike.
- `golden`: samples with the scores that every file must give.
- `verify`, `replay`: they are scored again, in a process of its own.
- `card`: the model card.
"""
