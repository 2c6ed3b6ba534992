"""Views of the solves of a trained model, as data and as pictures; on `training`."""
