"""Numbers for expressions, in forms in which no digits cancel; imports the algebra, solves and samples below."""
