"""The same model in PyTorch, for torchdiffeq and torchsde; on `_support` alone."""
