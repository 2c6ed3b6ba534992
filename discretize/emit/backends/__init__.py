"""The backends, a file each: what it can carry, and its printer; imports all other rooms of emit."""
