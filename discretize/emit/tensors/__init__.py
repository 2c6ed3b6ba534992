"""The in-place operations of an optimizer that writes over its tensors; imports modules, transform."""
