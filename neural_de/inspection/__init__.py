"""Views of a trained model: what its solves look like, as data first and as pictures second; on `training`."""
