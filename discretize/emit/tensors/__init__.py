"""In-place operations of an optimizer on its tensors; imports modules, transform."""
