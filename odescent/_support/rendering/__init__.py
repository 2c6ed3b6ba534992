"""Results as they are shown: one line where they are typed, text where they are printed, a page in a notebook."""
