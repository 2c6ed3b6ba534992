"""A program as a gradient transformation: an additive update with little memory; imports lowering."""
