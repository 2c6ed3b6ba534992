"""After training: what the solves of a model look like, as data first and as pictures second."""
