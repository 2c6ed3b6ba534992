"""Return maps of flows: objects that are iterated like any map."""
