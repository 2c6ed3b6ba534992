"""The stand-alone checker, the documents that it reads, and exact numbers: the ground of the other rooms."""
