"""The stand-alone checker, its documents, and exact numbers; imported by the other folders."""
