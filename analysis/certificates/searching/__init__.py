"""Candidates for proofs, by semidefinite programs and by identities; it may import from all other rooms."""
