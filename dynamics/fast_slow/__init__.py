"""Systems with fast blocks: slow manifolds, reduced systems and layers; imports `vector_fields`."""
