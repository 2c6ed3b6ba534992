"""The base of what people hold: sentences for names that it does not have and for operations without a meaning."""
