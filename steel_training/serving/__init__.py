"""Published models at work: on files, behind the open inference protocol, and as TensorFlow Serving wants them."""
