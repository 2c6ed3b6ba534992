"""Phase portraits: planar fields and sections, proved zeros, trajectories, cycles, level sets."""
