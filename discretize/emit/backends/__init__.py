"""The backends, a file each, with its supported operations and its printer; imports all other folders of emit."""
