"""The same model in PyTorch, for torchdiffeq and torchsde, beside which ours is compared; on `_support` alone."""
